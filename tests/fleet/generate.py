"""generate.py SEED_DIR STORE LINES [HOSTS] - makes many records of a few: for a day, hosts and LINES records in all.

SEED_DIR has real files of a run, NAME.json each. Records keep their shape, order, and who did what; times,
pids and hosts are new. STORE/HOST/NAME.json is what a collector writes.
"""

import pathlib
import re
import sys

DAY = 86_400_000_000_000
# Numbers that are no one's: the same pid of another round is another process.
PIDS = re.compile(rb'"(pid|ns_pid|ppid|tid)":(\d+)')
TIME = re.compile(rb'"time":"[^"]*"')


def templates(path):
    """Each record as pieces around its time and pids, with the pids."""
    found = []
    for line in path.read_bytes().splitlines(keepends=True):
        if not line.startswith(b'{"type":"event"'):
            continue
        line = line.replace(b"%", b"%%")
        pids = [int(pid) for _, pid in PIDS.findall(line)]
        line = PIDS.sub(lambda m: b'"' + m[1] + b'":%d', line)
        found.append((TIME.sub(b'"time":"%s"', line, count=1), pids))
    return found


def generate(seed, store, lines, hosts=20):
    """Returns how many were made."""
    files = {path.stem: templates(path) for path in sorted(pathlib.Path(seed).glob("*.json"))}
    every = sum(map(len, files.values()))
    rounds = max(1, round(lines / hosts / every))
    made = 0
    for number in range(hosts):
        directory = pathlib.Path(store) / f"node{number:03}"
        directory.mkdir(parents=True)
        for name, records in files.items():
            step = DAY // max(1, rounds * len(records))
            at = number * 1009
            with open(directory / f"{name}.json", "wb", buffering=1 << 20) as out:
                for turn in range(rounds):
                    shift = turn * 7 % 4_000_000
                    piece = []
                    for template, pids in records:
                        second, ns = divmod(at, 1_000_000_000)
                        minute, second = divmod(second, 60)
                        hour, minute = divmod(minute, 60)
                        time = b"2026-11-20T%02d:%02d:%02d.%09dZ" % (hour, minute, second, ns)
                        piece.append(template % (time, *[pid + shift for pid in pids]))
                        at += step
                    out.write(b"".join(piece))
                    made += len(records)
    return made


if __name__ == "__main__":
    print(generate(sys.argv[1], sys.argv[2], int(sys.argv[3]), *map(int, sys.argv[4:5])))
