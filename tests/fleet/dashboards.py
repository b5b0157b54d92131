"""The dashboards of Grafana: what their panels ask is asked of a real Prometheus and of ClickHouse's engine."""

import json
import re
import subprocess

from prometheus import free_port, start_node_exporter, start_prometheus
from stage import Skipped, query, until


def panels(stage, name):
    """(title, target) of each; everything that Grafana needs of a panel is there."""
    board = json.loads((stage.contrib / f"grafana/{name}.json").read_text())
    for key in ("uid", "title", "schemaVersion", "templating", "time"):
        assert key in board, key
    found = [(panel["title"], panel["type"], target) for panel in board["panels"] for target in panel["targets"]]
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids) and found, ids
    places = {(x, y) for p in board["panels"] for x in range(p["gridPos"]["x"], p["gridPos"]["x"] + p["gridPos"]["w"])
              for y in range(p["gridPos"]["y"], p["gridPos"]["y"] + p["gridPos"]["h"])}
    assert len(places) == sum(p["gridPos"]["w"] * p["gridPos"]["h"] for p in board["panels"]), "panels overlap"
    return found


def run(stage):
    stage.check("dashboard_over_prometheus", lambda: over_prometheus(stage))
    stage.check("dashboard_over_clickhouse", lambda: over_clickhouse(stage))


def over_prometheus(stage):
    """With a tool that is down and one that loses events, every panel has something to show."""
    directory = stage.directory("dashboards/textfile")
    config = stage.dir / "dashboards.toml"
    config.write_text(f"""
[metrics]
file = "{directory}/ebtools.prom"
interval = "1s"
[[tools]]
tool = "execsnoop"
file = "{stage.dir}/dashboards/execsnoop.json"
max_events_per_second = 1
[[tools]]
tool = "syscount"
options = ["-L", "-i", "1"]
[[tools]]
tool = "xdpfilter"
options = ["no-such-interface"]
""")
    stage.start("dashboards-serve", [stage.ebtools, "serve", config])
    exporter = f"127.0.0.1:{free_port()}"
    start_node_exporter(stage, "dashboards-exporter", directory, exporter)
    address = start_prometheus(stage, "dashboards-prometheus", f"""
  - job_name: node
    static_configs: [{{targets: ['{exporter}'], labels: {{instance: a}}}}]
""")
    until("serve traces", lambda: "tools trace" in stage.said("dashboards-serve"), 60)
    wanted = panels(stage, "ebtools-prometheus")

    missing = []

    def all_show():
        for _ in range(10):
            subprocess.run(["true"], check=True)
        values = {"$instance": "a", "$__rate_interval": "10s", "$__range": "1m"}
        missing.clear()
        for title, _, target in wanted:
            expression = target["expr"]
            for name, value in values.items():
                expression = expression.replace(name, value)
            assert "$" not in expression, expression
            if not query(address, expression):
                missing.append(title)
        return not missing

    try:
        until("every panel shows something", all_show, 30, every=1)
    except AssertionError:
        raise AssertionError(f"nothing is shown by: {', '.join(missing)}") from None
    return f"{len(wanted)} panels"


def over_clickhouse(stage):
    database = getattr(stage, "clickhouse", None)
    if not database:
        raise Skipped("it is over what the part sql has loaded")
    wanted = panels(stage, "ebtools-clickhouse")
    for title, kind, target in wanted:
        # What the data source makes of its macros.
        text = target["rawSql"].replace("${host:singlequote}", "'node001','node002'").replace("${path:raw}", "payroll")
        text = re.sub(r"\$__timeFilter\((\w+)\)", r"\1 >= toDateTime(1795132800) and \1 <= toDateTime(1795219200)", text)
        text = re.sub(r"\$__timeInterval\((\w+)\)", r"toStartOfInterval(toDateTime(\1), INTERVAL 60 second)", text)
        assert "$" not in text, text
        rows = json.loads(database.query(f"{text} format JSONCompact", "JSONCompact").bytes())["data"]
        assert rows, f"{title}: no rows"
        assert kind != "timeseries" or target["format"] == 0, title
    return f"{len(wanted)} panels"
