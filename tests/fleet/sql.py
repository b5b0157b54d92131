"""DuckDB, the engine of ClickHouse and PostgreSQL over what a collector has written: real records, made many."""

import gzip
import json
import os
import re
import subprocess
import sys
import time

import generate
from stage import until

LINES = int(os.environ.get("FLEET_LINES", "1000000"))
HOSTS = 20

# What a build does, in small: programs, files that come and go, and names that are not there.
LOAD = r"""
i=0
while [ $i -lt 150 ]; do
	i=$((i + 1))
	printf 'int f%d(void) { return %d; }\n' $i $i >f$i.c
	cc -c -o f$i.o f$i.c
	cat missing.h 2>/dev/null
	rm f$i.c f$i.o
done
touch payroll.csv
rm payroll.csv
"""


def seed(stage):
    """Real records of three tools, of a load that is a small build."""
    directory = stage.directory("seed")
    cgroup = stage.make_cgroup("seed")
    tools = "".join(
        f'[[tools]]\ntool = "{tool}"\noptions = {json.dumps(["--cgroup", str(cgroup), *more])}\nfile = "{directory}/{tool}.json"\n'
        for tool, more in (("execsnoop", ["-x"]), ("opensnoop", []), ("unlinksnoop", [])))
    config = stage.dir / "seed.toml"
    config.write_text(tools)
    serve = stage.start("seed-serve", [stage.ebtools, "serve", config])
    until("serve traces", lambda: "3 of 3 tools trace" in stage.said("seed-serve"), 60)
    work = stage.directory("seed-work")
    subprocess.run([*stage.in_cgroup(cgroup), "sh", "-c", LOAD], cwd=work, check=True)
    stage.stop(serve)
    return directory


def statements(path):
    """{name: statement} of an SQL file; what comes before the first name is called `begin`."""
    parts = re.split(r"^-- name: (\w+)$", path.read_text(), flags=re.M)
    return dict(zip(["begin", *parts[1::2]], parts[0::2]))


class Timed:
    """The engines' answers, and how long they took."""

    def __init__(self, stage):
        self.stage, self.answers = stage, {}

    def ask(self, engine, question, function):
        begun = time.monotonic()
        answer = function()
        took = time.monotonic() - begun
        if question in self.answers and question != "load":
            assert answer == self.answers[question], (question, answer[:3], self.answers[question][:3])
        self.answers.setdefault(question, answer)
        return f"{question} {took:.2f} s"


def run(stage):
    sys.path.insert(0, str(stage.packages / "python"))
    store = stage.directory("sql-store")
    made = {}

    def records_are_made():
        directory = seed(stage)
        begun = time.monotonic()
        made["lines"] = generate.generate(directory, store, LINES, HOSTS)
        size = sum(path.stat().st_size for path in store.glob("*/*.json"))
        count = sum(len(path.read_bytes().splitlines()) for path in directory.glob("*.json"))
        made["bytes"] = size
        return (f"{made['lines']:,} lines of {count:,} real ones, {size:,} bytes, {size / made['lines']:.0f} a line, made in"
                f" {time.monotonic() - begun:.0f} s")

    if not stage.check("sql_records_are_made", records_are_made):
        return
    timed = Timed(stage)
    variables = {"host": "node007", "time": "2026-11-20 12:00:00", "path": "%/payroll.csv"}
    stage.check("sql_duckdb", lambda: duckdb(stage, store, made, timed, variables))
    stage.check("sql_clickhouse", lambda: clickhouse(stage, store, made, timed, variables))
    stage.check("sql_postgresql", lambda: postgresql(stage, store, made, variables))
    stage.check("sql_compressed", lambda: compressed(store))
    for path in store.glob("*/*.json"):
        path.unlink()


def plain(rows):
    """Rows of two engines, to be compared: what they show of times differs in form."""
    return [[same(value) for value in row] for row in rows]


def same(value):
    if isinstance(value, (list, tuple)):
        return list(value)
    text = str(value)
    return re.sub(r"\.\d*|\+.*$", "", text.replace("T", " ")) if re.match(r"\d{4}-", text) else value


def duckdb(stage, store, made, timed, variables):
    import duckdb as engine
    sql = statements(stage.contrib / "sql/duckdb.sql")
    parquet = stage.dir / "events.parquet"
    db = engine.connect(config={"threads": os.cpu_count()})
    db.execute(f"set temp_directory = '{stage.dir}/duckdb'")
    for name, value in {**variables, "store": store, "parquet": parquet}.items():
        db.execute(f"set variable {name} = '{value}'")
    db.execute(sql["begin"])
    said = []
    for question in ("before", "deleted", "failed"):
        said.append(timed.ask("duckdb", question, lambda q=question: plain(db.execute(sql[q]).fetchall())))
    assert timed.answers["deleted"][0][2] == "rm" and timed.answers["failed"], timed.answers["deleted"]
    said.append("to Parquet: " + timed.ask("duckdb", "load", lambda: db.execute(sql["parquet"]) and None))
    size = parquet.stat().st_size
    db.execute(f"create or replace view events as select * from read_parquet('{parquet}')")
    assert db.execute("select count(*) from events").fetchall() == [(made["lines"],)]
    for question in ("before", "deleted", "failed"):
        said.append(timed.ask("parquet", question, lambda q=question: plain(db.execute(sql[q]).fetchall())))
    db.close()
    return f"over JSON Lines: {', '.join(said)}; Parquet {size:,} bytes, {size / made['lines']:.1f} a line"


def clickhouse(stage, store, made, timed, variables):
    from chdb import session
    sql = statements(stage.contrib / "sql/clickhouse.sql")
    db = session.Session(str(stage.dir / "clickhouse"))
    db.query(sql["table"])
    said = [timed.ask("clickhouse", "load", lambda: db.query(sql["load"].replace("{store}", str(store))) and None)]
    begun = time.monotonic()
    db.query("optimize table events final")
    said.append(f"merged {time.monotonic() - begun:.1f} s")
    count = int(db.query("select count() from events", "TSV").bytes())
    assert count == made["lines"], (count, made)

    def ask(question):
        text = sql[question]
        for name, value in variables.items():
            text = re.sub(r"\{%s:[^}]*\}" % name, f"'{value}'", text)
        data = json.loads(db.query(text.rstrip().rstrip(";") + " format JSONCompact", "JSONCompact").bytes())
        return plain([int(v) if str(v).isdigit() else v for v in row] for row in data["data"])

    for question in ("before", "deleted", "failed"):
        said.append(timed.ask("clickhouse", question, lambda q=question: ask(q)))
    size = int(db.query("select sum(bytes_on_disk) from system.parts where active and table = 'events'", "TSV").bytes())
    stage.clickhouse = db
    return f"{', '.join(said)}; {size:,} bytes, {size / made['lines']:.1f} a line"


def postgresql(stage, store, made, variables):
    """A smaller share: the first hosts, up to half a million records."""
    _, psql = stage.postgres_once()
    stage.run([*psql, "-c", "truncate events"])
    share, begun, loaded = 0, time.monotonic(), []
    for host in sorted(store.iterdir()):
        if share >= min(500_000, made["lines"] // 4):
            break
        for path in sorted(host.iterdir()):
            with open(path, encoding="utf-8") as lines:
                stage.run([*psql, "-v", f"host={host.name}", "-f", stage.contrib / "sql/postgresql-copy.sql"], 600, stdin=lines)
            share += sum(1 for _ in open(path, "rb"))
        loaded.append(host.name)
    took = time.monotonic() - begun
    count, size = stage.run([*psql, "-F", " ", "-c", "analyze events", "-c",
                             "select count(*), pg_total_relation_size('events') from events"]).split()
    assert int(count) == share, (count, share)
    said = []
    options = [f"-v{name}={value}" for name, value in {**variables, "host": loaded[-1], "time": "2026-11-20T12"}.items()]
    for question, text in statements(stage.contrib / "sql/postgresql-questions.sql").items():
        if question == "begin":
            continue
        begun = time.monotonic()
        rows = stage.run([*psql, *options, "-f", "-"], 600, stdin=as_file(stage, text)).splitlines()
        assert rows, question
        said.append(f"{question} {time.monotonic() - begun:.2f} s")
    return (f"{share:,} lines by COPY in {took:.0f} s ({share / took:,.0f} a second), {', '.join(said)};"
            f" {int(size):,} bytes with its indexes, {int(size) / share:.0f} a line")


def as_file(stage, text):
    path = stage.dir / "question.sql"
    path.write_text(text)
    return open(path, encoding="utf-8")


def compressed(store):
    """The files of one host, as logrotate and archives have them."""
    said = []
    for path in sorted((store / "node007").iterdir()):
        text = path.read_bytes()[:50 << 20]
        lines = text.count(b"\n")
        zstd = len(subprocess.run(["zstd", "-3", "-c"], input=text, capture_output=True, check=True).stdout)
        small = len(gzip.compress(text, 6))
        said.append(f"{path.stem} {len(text) / lines:.0f} bytes a line, gzip {small / lines:.1f}, zstd {zstd / lines:.1f}")
    return "; ".join(said)
