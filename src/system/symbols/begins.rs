//! Where threads begin: a stack that does not reach such a function is not whole.

use super::names::Function;

/// Of glibc, musl, the dynamic linker and Go.
const BEGINS: &[&str] = &[
    "_start",
    "_start_c",
    "__libc_start_main",
    "__libc_start_main_impl",
    "__libc_start_call_main",
    "libc_start_main_stage2",
    "start_thread",
    "thread_start",
    "start",
    "start_c11",
    "clone",
    "__clone",
    "clone3",
    "__clone3",
    "_dl_start",
    "_dl_start_user",
    "_dl_sysdep_start",
    "runtime.goexit",
    "runtime.mcall",
    "runtime.morestack",
    "runtime.mstart",
    "runtime.rt0_go",
    "runtime.systemstack",
];

/// The C library, whose inner functions have no names where it is stripped.
const LIBRARIES: &[&str] = &["libc.so", "libc-2.", "libpthread", "ld-linux", "ld-musl"];

impl Function {
    /// Does a thread begin in it? `has_callees`: it is not all there is of the stack.
    pub(crate) fn begins_thread(&self, has_callees: bool) -> bool {
        let name = self.name.split(|&byte| byte == b'@').next().unwrap_or_default();
        if BEGINS.iter().any(|begin| begin.as_bytes() == name) {
            return true;
        }
        let file = self.module.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        let is_library = || LIBRARIES.iter().any(|library| file.starts_with(library.as_bytes()));
        has_callees && name.starts_with(b"[") && is_library()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_where_threads_begin() {
        let begins = |name: &str, module: &str, has_callees| {
            Function::of_program(name.as_bytes(), module.as_bytes()).begins_thread(has_callees)
        };
        assert!(begins("_start", "/a", false));
        assert!(begins("__libc_start_main@@GLIBC_2.34", "/a", true));
        assert!(begins("[libc.so.6+0x27200]", "/lib/libc.so.6", true));
        assert!(!begins("[libc.so.6+0x27200]", "/lib/libc.so.6", false));
        assert!(!begins("write", "/lib/libc.so.6", true));
        assert!(!begins("[a+0x10]", "/a", true));
    }
}
