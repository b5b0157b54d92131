"""A real Prometheus that scrapes the listener, and node_exporter, which reads the file."""

import json
import os
import signal
import socket
import subprocess
import time

from stage import alerts, get, metrics, query, until


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def quick_rules(stage, name="quick.rules.yml"):
    """The rules that ship, with less patience: a test has no ten minutes."""
    text = (stage.contrib / "prometheus/ebtools.rules.yml").read_text()
    for there, here in (("for: 10m", "for: 3s"), ("for: 5m", "for: 3s"), ("for: 2m", "for: 3s"), ("> 120", "> 6")):
        assert there in text, there
        text = text.replace(there, here)
    path = stage.dir / name
    path.write_text(text)
    return path


def start_prometheus(stage, name, jobs, enter=()):
    """Its address. `jobs` is the text of scrape_configs."""
    port = free_port()
    data = stage.directory(f"{name}-data")
    config = stage.dir / f"{name}.yml"
    config.write_text(
        f"global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}\n"
        f"rule_files: [{quick_rules(stage, name + '.rules.yml')}]\nscrape_configs:\n{jobs}")
    stage.run([stage.program("usr/bin/promtool"), "check", "config", config])
    stage.start(name, [
        *enter, stage.program("usr/bin/prometheus"), f"--config.file={config}", f"--storage.tsdb.path={data}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"])
    address = f"http://127.0.0.1:{port}"
    until("prometheus is ready", lambda: "Ready" in get(f"{address}/-/ready"))
    return address


def start_node_exporter(stage, name, directory, address, enter=()):
    stage.start(name, [
        *enter, stage.program("usr/bin/prometheus-node-exporter"), "--collector.disable-defaults", "--collector.textfile",
        f"--collector.textfile.directory={directory}", f"--web.listen-address={address}", "--log.level=warn"])


class Served:
    """An `ebtools serve` with what the checks below look at."""

    def __init__(self, stage):
        self.stage = stage
        self.dir = stage.directory("prometheus-serve")
        self.textfile = stage.directory("prometheus-serve/textfile")
        self.textfile.chmod(0o755)
        self.prom = self.textfile / "ebtools.prom"
        self.port = free_port()
        self.config = self.dir / "serve.toml"
        self.cgroup = stage.make_cgroup("overload")
        self.process = None

    def start(self):
        # A buffer of 64K is soon full, by the cgroup alone; syscount -L has groups; one tool is down.
        self.config.write_text(f"""
[metrics]
file = "{self.prom}"
interval = "1s"
listen = "127.0.0.1:{self.port}"
[[tools]]
tool = "execsnoop"
file = "{self.dir}/execsnoop.json"
[[tools]]
tool = "execsnoop"
name = "limited"
file = "{self.dir}/limited.json"
max_events_per_second = 1
[[tools]]
tool = "opensnoop"
options = ["--buffer", "64K", "--cgroup", "{self.cgroup}"]
file = "{self.dir}/opensnoop.json"
[[tools]]
tool = "syscount"
options = ["-L", "-i", "1"]
[[tools]]
tool = "xdpfilter"
options = ["no-such-interface"]
""")
        self.process = self.stage.start("serve", [self.stage.ebtools, "serve", self.config])
        until("serve traces", lambda: "tools trace" in self.stage.said("serve"), 60)

    def text(self):
        return get(f"http://127.0.0.1:{self.port}/metrics")


def overload(stage, cgroup):
    """More opens than a small buffer holds: a loss that is a real one."""
    program = stage.dir / "opens.py"
    program.write_text(
        "import os\nfor _ in range(200000): os.close(os.open('/dev/null', os.O_RDONLY))\n")
    subprocess.run([*stage.in_cgroup(cgroup), "python3", program], check=True)


def run(stage):
    promtool = stage.program("usr/bin/promtool")
    rules = stage.contrib / "prometheus"
    stage.check("rules_are_right", lambda: stage.run([promtool, "check", "rules", rules / "ebtools.rules.yml"]) and None)
    stage.check("rules_tell_what_they_should", lambda: stage.run(
        [promtool, "test", "rules", "ebtools.rules.test.yml"], cwd=rules) and None)

    served = Served(stage)
    served.start()
    exporter = f"127.0.0.1:{free_port()}"
    start_node_exporter(stage, "node-exporter", served.textfile, exporter)
    address = start_prometheus(stage, "prometheus", f"""
  - job_name: ebtools
    static_configs: [{{targets: ['127.0.0.1:{served.port}'], labels: {{instance: listener}}}}]
  - job_name: node
    static_configs: [{{targets: ['{exporter}'], labels: {{instance: textfile}}}}]
""")

    def lint(text):
        stage.run([promtool, "check", "metrics"], stdin=text)

    def listener_is_right():
        with open(stage.dir / "listener.prom", "w+", encoding="utf-8") as text:
            text.write(served.text())
            text.seek(0)
            lint(text)

    def file_is_right():
        with open(served.prom, encoding="utf-8") as text:
            lint(text)

    stage.check("promtool_takes_the_listener", listener_is_right)
    stage.check("promtool_takes_the_file", file_is_right)

    def scraped():
        """Both ways in, with the same series; Prometheus asks for OpenMetrics, the exporter has text."""
        until("targets are up", lambda: len(query(address, "up == 1")) == 2)
        series = until("series of both", lambda: {
            way: sorted((m["name"], m.get("reason", "")) for m, _ in query(
                address, f'{{__name__=~"ebtools_events_total|ebtools_events_lost_total",instance="{way}"}}'))
            for way in ("listener", "textfile")})
        assert series["listener"] == series["textfile"] and len(series["listener"]) > 20, series
        targets = json.loads(get(f"{address}/api/v1/targets"))["data"]["activeTargets"]
        assert not [t["lastError"] for t in targets if t["lastError"]], targets
        # OpenMetrics, which Prometheus asks for, names a counter's family without _total.
        kinds = json.loads(get(f"{address}/api/v1/metadata"))["data"]
        assert kinds["ebtools_events"][0]["type"] == "counter", kinds
        assert kinds["ebtools_events_total"][0]["type"] == "counter", kinds
        return f"{len(series['listener'])} series of accounts each"

    stage.check("prometheus_scrapes_listener_and_file", scraped)

    def exact():
        """What Prometheus has at the end is what the accounts say, for a number of execs that is known."""
        before = metrics(served.text())
        key = ("ebtools_events_total", 'name="execsnoop",tool="execsnoop"')
        lost = ("ebtools_events_lost_total", 'name="limited",tool="execsnoop",reason="rate_limited"')
        for _ in range(100):
            subprocess.run(["true"], check=True)
        limited = ("ebtools_events_total", 'name="limited",tool="execsnoop"')

        def grown(*keys):
            now = metrics(served.text())
            return sum(now[key] - before[key] for key in keys)
        until("events are counted", lambda: grown(key) >= 100 and grown(limited, lost) >= 100, 10)
        assert grown(limited) < 20, grown(limited)
        own = metrics(served.text())

        def same():
            now = metrics(served.text())[key]
            return query(address, 'ebtools_events_total{name="execsnoop",instance="listener"}')[0][1] in (now, own[key])
        until("prometheus has the same number", same, 10)

    stage.check("prometheus_has_the_numbers_of_the_accounts", exact)

    def down():
        until("EbtoolsToolDown", lambda: {a["name"] for a in alerts(address, "EbtoolsToolDown")} == {"xdpfilter"})

    stage.check("alert_a_tool_is_down", down)
    stage.check("alert_a_limit_is_reached", lambda: limit_goes_on(address))

    def no_loss_yet():
        assert not [a for a in alerts(address, "EbtoolsEventsLost")], alerts(address, "EbtoolsEventsLost")

    stage.check("no_alert_while_nothing_is_lost", no_loss_yet)

    def lost():
        overload(stage, served.cgroup)
        fired = until("EbtoolsEventsLost", lambda: alerts(address, "EbtoolsEventsLost"))
        assert {(a["name"], a["reason"]) for a in fired} == {("opensnoop", "ring_full")}, fired
        count = metrics(served.text())[("ebtools_events_lost_total", 'name="opensnoop",tool="opensnoop",reason="ring_full"')]
        return f"{count:.0f} of 200,000 opens lost with a buffer of 64K"

    stage.check("alert_events_are_lost", lost)

    def stale():
        served.process.send_signal(signal.SIGSTOP)
        try:
            fired = until("EbtoolsMetricsStale", lambda: alerts(address, "EbtoolsMetricsStale"), 40)
            assert fired[0]["file"] == str(served.prom), fired
            until("EbtoolsGone", lambda: alerts(address, "EbtoolsGone"), 40)
        finally:
            served.process.send_signal(signal.SIGCONT)
        until("it is over", lambda: not alerts(address, "EbtoolsMetricsStale") and not alerts(address, "EbtoolsGone"))

    stage.check("alert_metrics_are_stale", stale)

    def missing():
        assert stage.stop(served.process) == 0, stage.said("serve")
        os.remove(served.prom)
        until("EbtoolsMetricsMissing", lambda: alerts(address, "EbtoolsMetricsMissing"), 40)

    stage.check("alert_metrics_are_missing", missing)


def limit_goes_on(address):
    """Many execs, for as long as the rule wants it."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        for _ in range(20):
            subprocess.run(["true"], check=True)
        if {a["name"] for a in alerts(address, "EbtoolsRateLimited")} == {"limited"}:
            return
    raise AssertionError("EbtoolsRateLimited did not fire within 20 s")
