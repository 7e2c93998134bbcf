// Sections unfold when a link leads to them; a table that is wider than the page gets smaller type; the contents mark the section in view; a figure enlarges on a click.
(() => {
  const unfold = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    const around = [];
    for (let each = target.closest("details"); each; each = each.parentElement.closest("details")) around.push(each);
    const folded = (around.length ? around : [target.querySelector("details")]).filter(each => each && !each.open);
    folded.forEach(each => { each.open = true; });
    if (folded.length) target.scrollIntoView();
  };
  addEventListener("hashchange", unfold);
  document.querySelectorAll("nav a, .missing a").forEach(link => link.addEventListener("click", () => {
    const folded = document.querySelector(`${link.hash} > details`);
    if (folded) folded.open = true;
  }));
  unfold();

  const fit = () => document.querySelectorAll(".scroll > table").forEach(table => {
    if (table.scrollWidth > table.parentElement.clientWidth) table.classList.add("dense");
  });
  document.querySelectorAll("details").forEach(each => each.addEventListener("toggle", fit));
  fit();

  const all = [...document.querySelectorAll("main details")];
  const button = document.getElementById("unfold");
  button.addEventListener("click", () => {
    const open = all.some(each => !each.open);
    all.forEach(each => { each.open = open; });
    button.textContent = open ? "Close all sections" : "Open all sections";
  });

  const links = new Map([...document.querySelectorAll("nav a")].map(link => [link.hash.slice(1), link]));
  const sections = [...document.querySelectorAll("main section")];
  const mark = () => {
    // The last section that begins above the line. At the end of the page several are in view that no scrolling brings
    // there: the one that a link led to counts, or else the last.
    const line = 60;
    const top = section => section.getBoundingClientRect().top;
    const atEnd = scrollY + innerHeight >= document.documentElement.scrollHeight - 2;
    const led = sections.find(section => `#${section.id}` === location.hash && top(section) >= 0 && top(section) < innerHeight);
    const above = sections.filter(section => top(section) <= (atEnd ? innerHeight : line));
    const current = (atEnd && led) || above.at(-1) || sections[0];
    links.forEach((link, id) => {
      if (current && current.id === id) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    });
  };
  ["scroll", "resize", "hashchange"].forEach(each => addEventListener(each, mark, {passive: true}));
  mark();

  const dialog = document.getElementById("enlarged");
  const shown = document.createElement("img");
  const enlarge = paper => {
    const drawn = paper.querySelector("img");
    shown.src = drawn.src;
    shown.alt = drawn.alt;
    dialog.append(shown);
    dialog.showModal();
  };
  document.querySelectorAll(".paper").forEach(paper => {
    paper.addEventListener("click", () => enlarge(paper));
    paper.addEventListener("keydown", event => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); enlarge(paper); }
    });
  });
  dialog.addEventListener("click", event => { if (event.target === dialog) dialog.close(); });
})();
