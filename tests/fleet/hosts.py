"""A fleet in small. Eight hosts, each a network, a host name and a cgroup of its own, with its own
`ebtools serve`, node_exporter and rsyslog; one collector with its files and PostgreSQL; one Prometheus."""

import json
import os
import pathlib
import signal
import subprocess
import time

from prometheus import start_node_exporter, start_prometheus
from stage import alerts, metrics, query, records, until

HOSTS = 8
# The one where a file is deleted that somebody looks for, and the one that loses events.
PLANTED, LOSING = 3, 5
# The one whose rsyslog is started again while nobody collects, and how many records that may cost: RELP's
# window, once for the file's ruleset. What was sent and not confirmed is in rsyslog's memory alone.
RESTARTED, WINDOW = 2, 128
TOOLS = ["execsnoop", "opensnoop", "unlinksnoop"]
COLLECTOR = "10.213.7.100"
# How long nobody collects.
AWAY = float(os.environ.get("FLEET_AWAY", "20"))


class Host:
    """A machine, as far as the kernel can be asked for one."""

    def __init__(self, stage, fleet, number):
        self.stage, self.fleet, self.name = stage, fleet, f"node{number}"
        self.address = f"10.213.7.{number}"
        self.dir = stage.directory(f"hosts/{self.name}")
        self.log = stage.directory(f"hosts/{self.name}/log")
        self.spool = stage.directory(f"hosts/{self.name}/spool")
        self.textfile = stage.directory(f"hosts/{self.name}/textfile")
        self.cgroup = stage.make_cgroup(self.name)
        self.holder = fleet.namespace(self.name, self.address)
        self.buffer = "64K" if number == LOSING else "4M"
        self.serve = self.rsyslog = None

    def enter(self):
        """What runs a command on this host."""
        return [*self.stage.in_cgroup(self.cgroup), "nsenter", "-t", str(self.holder.pid), "-n", "-u", "--"]

    def start(self):
        tools = "".join(f"""
[[tools]]
tool = "{tool}"
options = ["--cgroup", "{self.cgroup}", "--buffer", "{self.buffer if tool == 'opensnoop' else '4M'}"]
file = "{self.log}/{tool}.json"
rotate_at = "500K"
rotated_files = 50
""" for tool in TOOLS)
        config = self.dir / "serve.toml"
        config.write_text(f'[metrics]\nfile = "{self.textfile}/ebtools.prom"\ninterval = "1s"\n{tools}')
        self.stage.run([self.stage.ebtools, "serve", "--check", config])
        self.serve = self.stage.start(f"{self.name}-serve", [*self.enter(), self.stage.ebtools, "serve", config])
        start_node_exporter(self.stage, f"{self.name}-exporter", self.textfile, f"{self.address}:9100", self.enter())
        self.start_rsyslog()

    def start_rsyslog(self):
        """The file that ships, with this host's places."""
        text = (self.stage.contrib / "rsyslog/ebtools-host.conf").read_text()
        text = text.replace("/var/log/ebtools/", f"{self.log}/").replace("collector.example", COLLECTOR)
        text = text.replace("/var/spool/rsyslog", str(self.spool)).replace('resumeInterval="5"', 'resumeInterval="1"')
        self.rsyslog = start_rsyslog(self.stage, f"{self.name}-rsyslog", text, self.enter())

    def run(self, script):
        return subprocess.Popen([*self.enter(), "sh", "-c", script], cwd=self.dir)

    def own(self, tool):
        """Records in them."""
        return [record for path in self.files(tool) for record in records(path)]


    def files(self, tool):
        """This host's own files, the renamed ones too."""
        return [path for path in self.log.iterdir() if path.name.split(".json")[0] == tool]


def start_rsyslog(stage, name, text, enter=()):
    config = stage.dir / f"{name}.conf"
    config.write_text(text)
    modules = pathlib.Path(stage.program("usr/lib/*/rsyslog/imfile.so")).parent
    program = [stage.program("usr/sbin/rsyslogd"), "-M", modules, "-f", config]
    stage.run([*program, "-N1"])
    return stage.start(name, [*enter, *program, "-n", "-i", stage.dir / f"{name}.pid"])


class Fleet:
    """All of it."""

    def __init__(self, stage):
        self.stage = stage
        self.ip = stage.program("*bin/ip")
        stage.run([self.ip, "link", "add", "fleet", "type", "bridge"])
        stage.run([self.ip, "address", "add", "10.213.7.254/24", "dev", "fleet"])
        stage.run([self.ip, "link", "set", "fleet", "up"])
        self.socket, self.psql = stage.postgres_once()
        self.store = stage.directory("store")
        self.spool = stage.directory("collector-spool")
        self.collector_holder = self.namespace("collector", COLLECTOR)
        self.collector = None
        self.start_collector()
        self.hosts = [Host(stage, self, number) for number in range(1, HOSTS + 1)]
        for host in self.hosts:
            host.start()
        for host in self.hosts:
            until(f"{host.name} traces", lambda host=host: "tools trace" in stage.said(f"{host.name}-serve"), 60)

    def namespace(self, name, address):
        """A process that holds a network and a host name, and the wire to the others."""
        ip = self.ip
        holder = self.stage.start(f"{name}-holder", ["unshare", "--net", "--uts", "--", "sleep", "infinity"])
        own = os.readlink("/proc/self/ns/net")
        until("the namespace is there", lambda: os.readlink(f"/proc/{holder.pid}/ns/net") != own
              and pathlib.Path(f"/proc/{holder.pid}/comm").read_text().strip() == "sleep")
        inside = ["nsenter", "-t", holder.pid, "-n", "-u", "--"]
        self.stage.run([ip, "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", holder.pid])
        self.stage.run([ip, "link", "set", name, "master", "fleet", "up"])
        self.stage.run([*inside, ip, "address", "add", f"{address}/24", "dev", "eth0"])
        self.stage.run([*inside, ip, "link", "set", "eth0", "up"])
        self.stage.run([*inside, ip, "link", "set", "lo", "up"])
        self.stage.run([*inside, "hostname", name])
        return holder

    def start_collector(self):
        text = (self.stage.contrib / "rsyslog/ebtools-collector.conf").read_text()
        text = text.replace("/var/log/fleet", str(self.store)).replace("/var/spool/rsyslog", str(self.spool))
        text = text.replace("/run/postgresql", str(self.socket)).replace('resumeInterval="5"', 'resumeInterval="1"')
        enter = ["nsenter", "-t", str(self.collector_holder.pid), "-n", "-u", "--"]
        self.collector = start_rsyslog(self.stage, "collector", text, enter)

    def send_again(self, host, tool):
        """By COPY, as contrib/sql/postgresql-copy.sql does it."""
        script = self.stage.contrib / "sql/postgresql-copy.sql"
        for path in host.files(tool):
            with open(path, encoding="utf-8") as lines:
                self.stage.run([*self.psql, "-v", f"host={host.name}", "-f", script], stdin=lines)

    def sql(self, text):
        """Rows of PostgreSQL, as lists of texts."""
        lines = self.stage.run([*self.psql, "-F", "\t", "-c", text]).splitlines()
        return [line.split("\t") for line in lines]


# What a host does: programs, files that come and go, names with everything in them that a name may have.
LOAD = r"""
i=0
while [ $i -lt TIMES ]; do
	i=$((i + 1))
	: >"file $i"
	/bin/echo "a 'quoted' \"word\" \\ % $(printf '\t\001\177\303\244')" >/dev/null
	/bin/rm "file $i"
	/bin/cat "/nonexistent/$i" 2>/dev/null
done
"""


def run(stage):
    fleet = Fleet(stage)
    jobs = "  - job_name: node\n    static_configs:\n" + "".join(
        f"      - {{targets: ['{h.address}:9100'], labels: {{instance: {h.name}}}}}\n" for h in fleet.hosts)
    address = start_prometheus(stage, "fleet-prometheus", jobs)

    def all_up():
        until("eight hosts are scraped", lambda: len(query(address, 'up{job="node"} == 1')) == HOSTS)
        up = until("all tools are up", lambda: len(query(address, "ebtools_tool_up == 1")) == HOSTS * len(TOOLS))
        assert up

    stage.check("fleet_prometheus_scrapes_eight_hosts", all_up)

    def work(times):
        running = [host.run(LOAD.replace("TIMES", str(times))) for host in fleet.hosts]
        for process in running:
            process.wait()

    def planted():
        """One deletes a file; the store says where, who and what was before."""
        work(20)
        host = fleet.hosts[PLANTED - 1]
        host.run("touch payroll.csv && sh -c 'rm payroll.csv; :'").wait()
        rows = until("the delete is in the store", lambda: fleet.sql(
            "select host, record->>'comm', record->>'parent_comm', record->>'time', record->>'pid' from events"
            " where record->>'tool' = 'unlinksnoop' and record->>'path' like '%/payroll.csv'"), 30)
        assert [row[:3] for row in rows] == [[f"node{PLANTED}", "rm", "sh"]], rows
        before = fleet.sql(
            f"select record->'args' from events where host = 'node{PLANTED}' and record->>'tool' = 'execsnoop'"
            f" and record->>'time' <= '{rows[0][3]}' order by record->>'time' desc limit 1")
        assert json.loads(before[0][0]) == ["rm", "payroll.csv"], before
        return f"{rows[0][0]}: rm payroll.csv, pid {rows[0][4]}, {rows[0][3]}"

    stage.check("fleet_planted_event_is_found_on_its_host", planted)

    def bytes_are_kept():
        """What is odd in a name came through two rsyslogs and PostgreSQL as it was."""
        host = fleet.hosts[0]
        own = [r["args"] for r in host.own("execsnoop") if r["type"] == "event" and len(r.get("args") or []) == 2
               and "quoted" in (r["args"][1] or "")]
        assert own and own[0][1] == "a 'quoted' \"word\" \\ % \t\x01\x7f\u00e4", own[:1]
        # A longer record than rsyslog takes by itself.
        host.run("/bin/echo " + "x" * 20000 + " >/dev/null").wait()
        rows = until("the long record is in the store", lambda: fleet.sql(
            "select length(record->'args'->>1), record->>'args_bytes' from events where host = 'node1'"
            " and record->>'comm' = 'echo' and length(record->'args'->>1) > 10000"), 30)
        assert rows[0][0] == "20000", rows
        there = fleet.sql("select record->'args' from events where host = 'node1' and record->'args'->>1 like '%quoted%' limit 1")
        assert json.loads(there[0][0]) == own[0], there

    stage.check("fleet_bytes_come_through_as_they_are", bytes_are_kept)

    def loses():
        """One host is overloaded: its name, and no other, is in the alert."""
        script = stage.dir / "opens.py"
        script.write_text("import os\nfor _ in range(20000): os.close(os.open('/dev/null', os.O_RDONLY))\n")
        for _ in range(5):
            fleet.hosts[LOSING - 1].run(f"exec python3 {script}").wait()
        fired = until("EbtoolsEventsLost", lambda: alerts(address, "EbtoolsEventsLost"))
        assert {(a["instance"], a["name"], a["reason"]) for a in fired} == {(f"node{LOSING}", "opensnoop", "ring_full")}, fired
        value = query(address, 'sum(ebtools_events_lost_total)')[0][1]
        return f"node{LOSING} lost {value:.0f} of 100,000"

    stage.check("fleet_losing_host_is_in_the_alert", loses)

    def away():
        """Nobody collects for a while, and the hosts go on; a host's rsyslog is restarted meanwhile."""
        count = lambda: int(fleet.sql("select count(*) from events")[0][0])
        stage.stop(fleet.collector)
        before, rounds, end = count(), 0, time.monotonic() + AWAY
        try:
            while time.monotonic() < end:
                work(10)
                rounds += 1
                time.sleep(1)
            host = fleet.hosts[RESTARTED - 1]
            stage.stop(host.rsyslog)
            host.start_rsyslog()
            work(5)
            waiting = sum(path.stat().st_size for h in fleet.hosts for path in h.spool.glob("ebtools.0*"))
            assert count() == before and waiting > 0, (before, count(), waiting)
        finally:
            fleet.start_collector()
        until("the store goes on", lambda: count() > before)
        return f"away for {AWAY:.0f} s and {rounds * 10 * HOSTS:,} turns of load; {waiting:,} bytes waited on disk"

    stage.check("fleet_collector_is_away", away)

    def exact():
        """Everything ends; hosts' files, metrics, summaries, the collector's files and PostgreSQL agree."""
        for host in fleet.hosts:
            host.serve.send_signal(signal.SIGTERM)
        for host in fleet.hosts:
            assert stage.stop(host.serve) == 0, stage.said(f"{host.name}-serve")
        wanted = {}
        for host in fleet.hosts:
            final = metrics((host.textfile / "ebtools.prom").read_text())
            for tool in TOOLS:
                own = host.own(tool)
                events = sum(r["type"] == "event" for r in own)
                summary, = [r for r in own if r["type"] == "summary"]
                total = final["ebtools_events_total", f'name="{tool}",tool="{tool}"']
                lost = sum(value for (name, labels), value in final.items()
                           if name == "ebtools_events_lost_total" and f'name="{tool}"' in labels)
                assert events == summary["delivered"] == total, (host.name, tool, events, summary, total)
                assert summary["produced"] == summary["delivered"] + lost, (host.name, tool, summary, lost)
                wanted[host.name, tool] = events

        def stored():
            return {(host, tool): int(count) for host, tool, count in fleet.sql(
                "select host, record->>'tool', count(*) from events where record->>'type' = 'event' group by 1, 2")}
        def differing():
            have = stored()
            return {key: (count, have.get(key, 0)) for key, count in wanted.items() if count and have.get(key) != count}

        restarted = fleet.hosts[RESTARTED - 1]
        # As long as rows come: how fast is not what is asked here.
        last, since = None, time.monotonic()
        while differing() and time.monotonic() - since < 20:
            have = stored()
            if have != last:
                last, since = have, time.monotonic()
            time.sleep(1)
        others = {key: counts for key, counts in differing().items() if key[0] != restarted.name}
        assert not others, f"accounts and store differ: {others}"
        missing = sum(count - have for count, have in differing().values())
        assert 0 <= missing <= WINDOW, differing()
        if missing:
            # The host has its files: those that are there already stay as they are.
            for tool in TOOLS:
                fleet.send_again(restarted, tool)
        assert not differing(), differing()

        lines = repeated = 0
        for (host, tool), count in wanted.items():
            text = (fleet.store / host / f"{tool}.json").read_text().splitlines()
            events = [line for line in text if json.loads(line)["type"] == "event"]
            assert len(set(events)) == count or host == restarted.name, (host, tool, len(set(events)), count)
            lines, repeated = lines + len(events), repeated + len(events) - len(set(events))
        total = sum(wanted.values())
        summaries = fleet.sql("select count(*), sum((record->>'delivered')::bigint) from events where record->>'type' = 'summary'")
        assert summaries == [[str(HOSTS * len(TOOLS)), str(total)]], summaries
        # Records are numbered: the store has no gap, and a store that had one would show where.
        gaps = fleet.sql("select host, record->>'tool', max((record->>'seq')::bigint) + 1 - count(*) from events group by 1, 2"
                         " having max((record->>'seq')::bigint) + 1 != count(*)")
        assert not gaps, gaps
        rotated = sum(len(list(h.log.glob("*.json.*"))) for h in fleet.hosts)
        return (f"{total:,} events of {HOSTS} hosts, all stored; {repeated} lines came twice, {rotated} files were"
                f" rotated meanwhile; of the host whose rsyslog was started again {missing} were found to be missing, and sent again")

    stage.check("fleet_store_has_what_the_accounts_say", exact)

    def same_in_prometheus():
        """Prometheus's last sample is from before the end, so the file that node_exporter still shows is asked for."""
        sums = until("the last file is scraped", lambda: {
            m["instance"]: v for m, v in query(address, "sum by (instance) (ebtools_events_total)")})
        own = {h.name: sum(v for (name, _), v in metrics((h.textfile / "ebtools.prom").read_text()).items()
                           if name == "ebtools_events_total") for h in fleet.hosts}
        assert sums == own, (sums, own)

    stage.check("fleet_prometheus_has_what_the_accounts_say", same_in_prometheus)
