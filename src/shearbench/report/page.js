// Sections unfold when a link leads to them; a table that is wider than the page gets smaller type; the contents mark the section in view; a figure enlarges on a click.
(() => {
  const unfold = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    const around = target.closest("details") || target.querySelector("details");
    if (around && !around.open) { around.open = true; target.scrollIntoView(); }
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

  const all = [...document.querySelectorAll("main section > details")];
  const button = document.getElementById("unfold");
  button.addEventListener("click", () => {
    const open = all.some(each => !each.open);
    all.forEach(each => { each.open = open; });
    button.textContent = open ? "Close all sections" : "Open all sections";
  });

  const links = new Map([...document.querySelectorAll("nav a")].map(link => [link.hash.slice(1), link]));
  const sections = [...document.querySelectorAll("main section")];
  const inView = new Set();
  const mark = () => {
    // At the end of the page the last sections are in view together: the one that a link led to counts, or else the last.
    const atEnd = scrollY + innerHeight >= document.documentElement.scrollHeight - 2;
    const shown = sections.filter(section => section.getBoundingClientRect().top < innerHeight);
    const led = shown.find(section => `#${section.id}` === location.hash && section.getBoundingClientRect().top >= 0);
    const current = atEnd ? led || shown.at(-1) : sections.find(section => inView.has(section));
    links.forEach((link, id) => {
      if (current && current.id === id) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    });
  };
  const observer = new IntersectionObserver(entries => {
    entries.forEach(entry => inView[entry.isIntersecting ? "add" : "delete"](entry.target));
    mark();
  }, {rootMargin: "-10% 0px -70% 0px"});
  sections.forEach(section => observer.observe(section));
  addEventListener("scroll", mark, {passive: true});
  addEventListener("hashchange", mark);

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
