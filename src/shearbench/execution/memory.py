"""The memory limit of the container (cgroup), and the number of kills by the kernel for lack of memory."""

import os
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_PROC = Path("/proc")
_UNLIMITED = 1 << 60  # version 1 of cgroups has a number near 2^63 for "no limit"


def limit() -> int | None:
    """Return the memory limit of the container in bytes, the least of nested limits; None without one."""
    found = []
    for folder in _folders():
        for name in ("memory.max", "memory.limit_in_bytes"):
            value = _number(folder / name)
            if value is not None and value < _UNLIMITED:
                found.append(value)
    return min(found, default=None)


def total() -> int:
    """Return the memory in bytes: of the machine, or of its container if that is less."""
    return min(filter(None, (os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), limit())))


def free() -> int:
    """Return the free memory in bytes: of the machine, or of its container if that is less.

    Of a machine that does not tell, such as macOS, all memory counts as free.
    """
    lines = dict(line.split(":", 1) for line in _lines(_PROC / "meminfo") if ":" in line)
    machine = int(lines["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in lines else total()
    most = limit()
    return machine if most is None else min(machine, max(0, most - _used()))


def kills() -> int:
    """Return the number of processes killed by the kernel for lack of memory since boot; 0 if unknown."""
    counted = [line.split() for line in _lines(_PROC / "vmstat")]
    return sum(int(fields[1]) for fields in counted if fields[0] == "oom_kill")


def _used() -> int:
    """Return the bytes that the container uses, without reclaimable cache."""
    folder = next((each for each in _folders() if (each / "memory.current").is_file()), None)
    if folder is None:
        return 0
    cached = [line.split() for line in _lines(folder / "memory.stat")]
    inactive = sum(int(fields[1]) for fields in cached if fields[0] == "inactive_file")
    return max(0, (_number(folder / "memory.current") or 0) - inactive)


def _folders() -> list[Path]:
    """Return the folders of this process's control groups, innermost first."""
    found = [_ROOT, _ROOT / "memory"]
    for line in _lines(_PROC / "self" / "cgroup"):
        _, controllers, path = line.split(":", 2)
        base = _ROOT if not controllers else _ROOT / "memory"
        if not controllers or "memory" in controllers.split(","):
            own = base / path.lstrip("/")
            found += [own, *(each for each in own.parents if base in each.parents)]
    return list(reversed(found))


def _number(path: Path) -> int | None:
    text = "".join(_lines(path)).strip()
    return int(text) if text.isdecimal() else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
