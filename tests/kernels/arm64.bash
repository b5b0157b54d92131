# shellcheck shell=bash disable=SC2034,SC2154
# Sourced by run: machines of the other architecture, and what is in them, from Debian's packages.

# shellcheck source=../../scripts/apt.bash
. "$here/../../scripts/apt.bash"
fail() { skip "$*"; }
private_apt arm64
system=$private_apt/system
unpack "$system" trixie bash busybox-static coreutils dash \
	libacl1 libattr1 libc6 libc6-dev libgcc-14-dev libgcc-s1 libpcre2-8-0 libreadline8t64 \
	libselinux1 libtinfo6 linux-libc-dev
ln -sfn usr/lib "$system/lib"
folder=/usr/lib/aarch64-linux-gnu

# Without what takes long to emulate.
qemu=(qemu-system-aarch64 -machine virt -cpu "max,pauth=off,sve=off,sme=off")
kernel_options=
serial=(-serial chardev:console -device "pci-serial,chardev=out")
console=ttyAMA0 out=ttyS0
guest_busybox=$system/usr/bin/busybox
sysroot=$system

program() { echo "$system/usr/bin/$1"; }

# What a program is linked to, and what these are, and what loads them.
libraries() {
	local library
	for library in $(readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
		libraries "$system$folder/$library"
		echo "$system$folder/$library"
	done | sort -u
	echo "$system/usr/lib/ld-linux-aarch64.so.1"
}

compile() { # OUTPUT ARGS...: clang leaves callers out of the stack that return what they call.
	local lld
	lld=$(rustc --print sysroot)/lib/rustlib/$(uname -m)-unknown-linux-gnu/bin/gcc-ld/ld.lld
	"$("$here/../../scripts/clang")" --target=aarch64-linux-gnu --sysroot="$system" --ld-path="$lld" -O1 -fno-optimize-sibling-calls -o "$@"
}

readline_library() { echo "$system$folder/libreadline.so.8"; }
