"""What is put on hosts: logrotate's file, the file for Kubernetes, and a container with just its rights."""

import json
import pathlib
import re
import shutil
import subprocess
import time

from stage import Skipped, metrics, records, until


def run(stage):
    stage.check("logrotate_loses_nothing", lambda: logrotate(stage))
    stage.check("kubernetes_takes_the_file", lambda: kubernetes(stage))
    stage.check("container_with_these_rights", lambda: container(stage))


def logrotate(stage):
    """The file that ships rotates while programs run; every one of them is in one of the files."""
    directory = stage.directory("logrotate")
    cgroup = stage.make_cgroup("logrotate")
    config = directory / "serve.toml"
    config.write_text(f"""
[[tools]]
tool = "execsnoop"
options = ["--cgroup", "{cgroup}"]
file = "{directory}/execsnoop.json"
""")
    serve = stage.start("logrotate-serve", [stage.ebtools, "serve", config])
    until("serve traces", lambda: "1 of 1 tools trace" in stage.said("logrotate-serve"), 60)
    text = (stage.contrib / "logrotate/ebtools").read_text()
    kill = re.search(r"\tsystemctl kill .*", text)[0]
    text = text.replace("/var/log/ebtools/", f"{directory}/").replace(kill, f"\tkill -HUP {serve.pid}")
    rules = directory / "rules"
    rules.write_text(f"su root root\n{text}")
    rules.chmod(0o644)
    script = "i=0; while [ $i -lt 1500 ]; do i=$((i + 1)); /bin/true $i; done"
    load = subprocess.Popen([*stage.in_cgroup(cgroup), "sh", "-c", script])
    rotations = 0
    # Seven files are kept.
    while load.poll() is None and rotations < 7:
        stage.run([stage.program("usr/sbin/logrotate"), "-f", "-s", directory / "state", rules])
        rotations += 1
        time.sleep(0.2)
    load.wait()
    stage.stop(serve)
    files = directory.glob("execsnoop.json*")
    own = [json.loads(line) for path in files for line in stage.run(["gzip", "-cdf", path]).splitlines()]
    seen = {int(record["args"][1]) for record in own if record["type"] == "event" and record["comm"] == "true"}
    assert seen == set(range(1, 1501)) and rotations > 1, (len(seen), rotations)
    return f"{rotations} rotations during 1,500 execs, all are there"


def kubernetes(stage):
    path = stage.contrib / "kubernetes/ebtools.yaml"
    tool = stage.packages / "python/bin/kubernetes-validate"
    if not tool.exists():
        raise Skipped("there is no kubernetes-validate: tests/fleet/fetch")
    said = stage.run(["python3", tool, "--strict", path])
    import yaml
    parts = list(yaml.safe_load_all(path.read_text()))
    config = stage.dir / "kubernetes.toml"
    config.write_text(next(part for part in parts if part["kind"] == "ConfigMap")["data"]["serve.toml"])
    stage.run([stage.ebtools, "serve", "--check", config])
    return said.strip().splitlines()[-1]


def container(stage):
    """The same rights, mounts and arguments as in the DaemonSet, by podman and runc."""
    podman, runc = shutil.which("podman"), shutil.which("runc")
    if not podman or not runc:
        raise Skipped("there is no podman with runc: scripts/setup fleet")
    import yaml
    parts = list(yaml.safe_load_all((stage.contrib / "kubernetes/ebtools.yaml").read_text()))
    pod = next(part for part in parts if part["kind"] == "DaemonSet")["spec"]["template"]["spec"]
    spec = pod["containers"][0]
    rights = spec["securityContext"]
    assert pod["hostPID"] and rights["readOnlyRootFilesystem"] and not rights["privileged"]
    # The binary and, where it is not the static one, its libraries.
    root = stage.directory("image")
    shutil.copy(stage.ebtools, root / "ebtools")
    libraries = subprocess.run(["ldd", stage.ebtools], capture_output=True, text=True, check=False).stdout
    for library in re.findall(r"(/\S+)", libraries):
        (root / library[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, root / library[1:])
    base = [podman, "--root", stage.directory("podman/root"), "--runroot", stage.directory("podman/run"),
            "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--runtime", runc]
    stage.run(["sh", "-c", 'tar -C "$0" -c . | "$@"', root, *base, "import", "--quiet",
               "--change", 'ENTRYPOINT ["/ebtools"]', "-", "ebtools-fleet:1"])
    log, text, conf = (stage.directory(f"container/{name}") for name in ("log", "metrics", "config"))
    config = next(part for part in parts if part["kind"] == "ConfigMap")["data"]["serve.toml"]
    (conf / "serve.toml").write_text(config.replace("[metrics]", '[metrics]\ninterval = "1s"'))
    volumes = {volume["name"]: volume.get("hostPath", {}).get("path") for volume in pod["volumes"]}
    volumes.update(config=conf, log=log, metrics=text)
    mounts = [f"--volume={volumes[mount['name']]}:{mount['mountPath']}:{'ro' if mount.get('readOnly') else 'rw'}"
              for mount in spec["volumeMounts"]]
    name = f"ebtools-fleet-{stage.dir.name.split('.')[-1]}"
    stage.undo.append(lambda: subprocess.run([*map(str, base), "rm", "-f", "-t", "0", name], capture_output=True, check=False))
    stage.start("container", [
        *base, "run", "--rm", "--name", name, "--network", "none", "--pid", "host", "--read-only", "--read-only-tmpfs=false",
        "--security-opt", "no-new-privileges", "--security-opt", f"seccomp={seccomp(stage)}",
        "--cap-drop", "ALL", *[f"--cap-add={right}" for right in rights["capabilities"]["add"]],
        "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024", "--memory", "0", *mounts, "ebtools-fleet:1", *spec["args"]])
    try:
        until("the container traces", lambda: "2 of 2 tools trace" in stage.said("container"), 30)
    except AssertionError:
        raise AssertionError(stage.said("container")[-2000:]) from None
    subprocess.run(["/bin/echo", "seen from the container"], check=True, stdout=subprocess.DEVNULL)
    seen = until("the event is in the node's file", lambda: [
        r for r in records(log / "execsnoop.json") if r.get("args") == ["/bin/echo", "seen from the container"]])
    prom = text / "ebtools.prom"

    def up():
        return [value for (metric, _), value in metrics(prom.read_text()).items() if metric == "ebtools_tool_up"] == [1.0, 1.0]
    until("metrics say that both trace", up)
    status = until("its process", lambda: ebtools_status())
    kept = status["CapEff"], status["CapPrm"], status["CapBnd"]
    assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1", status
    stage.run([*base, "stop", "-t", "10", name])
    assert [r["type"] for r in records(log / "execsnoop.json")][-1] == "summary"
    return f"pid {seen[0]['pid']} seen; capabilities once it traces (effective, permitted, bounding): {', '.join(kept)}"


def seccomp(stage):
    """RuntimeDefault as containerd and Docker have it. Podman's and CRI-O's let bpf through with CAP_SYS_ADMIN
    alone: theirs, with that rule as the others have it."""
    profile = json.loads(pathlib.Path("/usr/share/containers/seccomp.json").read_text())
    own = {"bpf": "CAP_BPF", "perf_event_open": "CAP_PERFMON"}
    for rule in profile["syscalls"]:
        rule["names"] = [name for name in rule["names"] if name not in own]
    profile["syscalls"] = [rule for rule in profile["syscalls"] if rule["names"]] + [
        {"names": [call], "action": "SCMP_ACT_ALLOW", "args": [], "includes": {"caps": [right]}, "excludes": {}}
        for call, right in own.items()]
    path = stage.dir / "seccomp.json"
    path.write_text(json.dumps(profile))
    return path


def ebtools_status():
    """/proc/PID/status of the `ebtools serve` of the container: the one with its configuration."""
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        if path.read_bytes() == b"/ebtools\0serve\0/etc/ebtools/serve.toml\0":
            return dict(line.split(":\t", 1) for line in (path.parent / "status").read_text().splitlines() if ":\t" in line)
    return None
