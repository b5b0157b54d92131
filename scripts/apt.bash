# shellcheck shell=bash disable=SC2034
# Sourced: Debian packages of any architecture, unpacked and not installed.
#
# They come from the mirror and with the keys that this machine's apt is set up with (or from
# $DEBIAN_MIRROR, the part before /debian), with lists and state of their own: root is not needed.
# Lists are renewed when they are a day old; without a network the old ones are used.

fail() {
	echo "${0##*/}: $*" >&2
	exit 1
}

cache=${EBTOOLS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ebtools}

# private_apt ARCH: sets `options` for apt-get and apt-cache, and `private_apt`, their directory.
private_apt() {
	local keyring=/usr/share/keyrings/debian-archive-keyring.gpg mirror path suite
	private_apt=$cache/debian-$1
	command -v apt-get >/dev/null || fail 'this takes Debian packages, and this machine has no apt'
	[ -e "$keyring" ] || fail "Debian's keys ($keyring) are not on this machine"
	mkdir -p "$private_apt/lists/partial" "$private_apt/cache/archives/partial"
	mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null |
		sed -n 's,/debian/\?$,,p' | head -n 1)}
	[ -n "$mirror" ] || fail 'this machine uses no Debian mirror: name one in DEBIAN_MIRROR (the part before /debian)'
	while read -r path suite; do
		echo "deb [signed-by=$keyring] $mirror/$path $suite main"
	done >"$private_apt/sources.list" <<-SUITES
		debian bullseye
		debian-security bullseye-security
		debian bookworm
		debian-security bookworm-security
		debian trixie
		debian-security trixie-security
		debian trixie-backports
		debian sid
		debian experimental
	SUITES
	options=(
		-qq
		-o "Dir::Etc::SourceList=$private_apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
		-o "Dir::State::Lists=$private_apt/lists" -o Dir::State::status=/dev/null
		-o "Dir::Cache=$private_apt/cache" -o "APT::Architecture=$1" -o "APT::Architectures::=$1"
		-o Acquire::Languages=none -o APT::Sandbox::User= -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false
	)
	(
		flock 9
		[ -z "$(find "$private_apt/updated" -mtime -1 2>/dev/null)" ] || exit 0
		# Suites that ended are no error: what is left is used.
		apt-get "${options[@]}" update >"$private_apt/log" 2>&1 || true
		touch "$private_apt/updated"
	) 9>"$private_apt/lock"
}

# unpack DIR SUITE PACKAGE...: after private_apt; DIR is there when all of them are in it.
unpack() {
	local dir=$1 part package
	[ ! -d "$dir" ] || return 0
	part=$(mktemp -d "$private_apt/part.XXXXXX")
	(cd "$part" && apt-get "${options[@]}" download "${@:3}" -t "$2" >>"$private_apt/log" 2>&1) ||
		fail "these packages could not be got: ${*:3}: see $private_apt/log"
	mkdir "$part/kept"
	for package in "$part"/*.deb; do dpkg-deb -x "$package" "$part/kept"; done
	mkdir -p "${dir%/*}"
	mv -T "$part/kept" "$dir"
	rm -r "$part"
}

# debian_arch TARGET: what Debian calls it.
debian_arch() {
	case $1 in
	x86_64-*) echo amd64 ;;
	aarch64-*) echo arm64 ;;
	*) fail "no static file for $1" ;;
	esac
}

# musl_headers: after private_apt; prints the directory that has them.
musl_headers() {
	unpack "$private_apt/headers" trixie musl-dev linux-libc-dev
	echo "$private_apt/headers"
}
