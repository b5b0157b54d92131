//! What Kubernetes calls a container: by the cgroup's path and by the names of the files that the
//! kubelet keeps of it on its own machine. Nobody is asked over a network.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::record::Container;

/// A directory `NAMESPACE_POD_UID` for each pod, made before its containers.
const PODS: &str = "/var/log/pods";
/// A link `POD_NAMESPACE_CONTAINER-ID.log` for each container, made after it has begun.
const CONTAINERS: &str = "/var/log/containers";
/// More entries than a machine may have pods or containers, by far.
const ENTRIES_MAX: usize = 10_000;

/// Names the pod of a container whose cgroup is in `dir`, and the container, as far as they are known
/// now. `false` when something is not known yet, and may be later.
pub(crate) fn name(container: &mut Container, dir: &Path) -> bool {
    let Some(uid) = pod_uid(dir) else { return true };
    if container.pod.is_empty() {
        let of_pod = |name: &str| {
            let (namespace, pod, other) = three(name)?;
            (other == uid).then(|| (namespace.to_string(), pod.to_string()))
        };
        if let Some((namespace, pod)) = find(Path::new(PODS), of_pod) {
            (container.namespace, container.pod) = (namespace, pod);
        }
    }
    if container.name.is_empty() {
        let file = format!("-{}.log", container.id);
        let of_container = |name: &str| {
            let (_, _, name) = three(name.strip_suffix(&file)?)?;
            Some(name.to_string())
        };
        container.name = find(Path::new(CONTAINERS), of_container).unwrap_or_default();
    }
    !container.pod.is_empty() && !container.name.is_empty()
}

/// `kubepods-burstable-pod0123_4567.slice`, or `kubepods/burstable/pod0123-4567`.
fn pod_uid(dir: &Path) -> Option<String> {
    let is_kubernetes = |name: &str| name.starts_with("kubepods") || name.starts_with("kubelet-");
    let mut names = dir.iter().filter_map(|name| name.to_str());
    let found = names.by_ref().find(|name| is_kubernetes(name))?;
    let name = [found].into_iter().chain(names).find_map(|name| {
        let name = name.strip_suffix(".slice").unwrap_or(name);
        name.strip_prefix("pod").or_else(|| Some(name.rsplit_once("-pod")?.1))
    })?;
    Some(name.replace('_', "-")).filter(|uid| !uid.is_empty())
}

/// None of them may have an underscore in it.
fn three(name: &str) -> Option<(&str, &str, &str)> {
    let mut parts = name.split('_');
    let three = (parts.next()?, parts.next()?, parts.next()?);
    parts.next().is_none().then_some(three)
}

/// The first entry of root's directory that means something.
fn find<T>(dir: &Path, meaning: impl Fn(&str) -> Option<T>) -> Option<T> {
    let is_roots = fs::symlink_metadata(dir).is_ok_and(|data| data.is_dir() && data.uid() == 0);
    let entries = is_roots.then(|| fs::read_dir(dir).ok()).flatten()?;
    let mut names = entries.take(ENTRIES_MAX).flatten().map(|entry| entry.file_name());
    names.find_map(|name| meaning(name.to_str()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_pods_of_both_drivers() {
        const UID: &str = "0a1b2c3d-0000-4000-8000-000000000001";
        let under = UID.replace('-', "_");
        for dir in [
            format!("/sys/fs/cgroup/kubepods/besteffort/pod{UID}/0123"),
            format!("/sys/fs/cgroup/kubepods/pod{UID}"),
            format!(
                "/sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{under}.slice/cri-containerd-01.scope"
            ),
            format!(
                "/sys/fs/cgroup/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{under}.slice/x"
            ),
        ] {
            assert_eq!(pod_uid(Path::new(&dir)).as_deref(), Some(UID), "{dir}");
        }
        for dir in [
            "/sys/fs/cgroup/system.slice/docker-01.scope",
            "/kubepods",
            "/podman/pod",
            "/kubepods/pod",
        ] {
            assert_eq!(pod_uid(Path::new(dir)), None, "{dir}");
        }
    }

    #[test]
    fn splits_names() {
        assert_eq!(three("default_web-1_01-23"), Some(("default", "web-1", "01-23")));
        assert_eq!(three("default_web"), None);
        assert_eq!(three("a_b_c_d"), None);
    }
}
