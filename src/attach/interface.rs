//! A network interface, and a program that sees what it receives.

use std::fmt::{self, Display, Formatter};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use libbpf_rs::Object;
use libbpf_rs::libbpf_sys::{XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE};
use nix::errno::Errno;
use nix::net::if_::{if_nameindex, if_nametoindex};

use crate::bpf::object;
use crate::bpf::programs::Program;
use crate::error::{Context as _, Error, Result};
use crate::escape;
use crate::output::messages::Messages;
use crate::system::sys;

/// Where an XDP program runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum XdpMode {
    /// In the driver.
    Native,
    /// In the kernel's network stack.
    Generic,
}

impl XdpMode {
    fn flags(self) -> u32 {
        match self {
            XdpMode::Native => XDP_FLAGS_DRV_MODE,
            XdpMode::Generic => XDP_FLAGS_SKB_MODE,
        }
    }
}

impl Display for XdpMode {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            XdpMode::Native => "native",
            XdpMode::Generic => "generic",
        })
    }
}

/// An interface. Dropped, nothing is attached to it any more.
#[derive(Debug)]
pub(crate) struct Interface {
    messages: Messages,
    name: String,
    index: u32,
    link: Option<OwnedFd>,
}

impl Interface {
    /// # Errors
    ///
    /// When there is none of this name: with the names of all.
    pub(crate) fn named(name: &str, messages: &Messages) -> Result<Self> {
        if let Ok(index) = if_nametoindex(name) {
            return Ok(Self { messages: messages.clone(), name: name.into(), index, link: None });
        }
        let all = if_nameindex().doing("listing network interfaces")?;
        let names = all.iter().map(|one| one.name().to_string_lossy()).collect::<Vec<_>>();
        Err(Error::new(messages.tool(), format!("there is no interface {name}"))
            .hint(format!("there are {}", names.join(", "))))
    }

    /// Its number.
    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Attaches in the first mode that works, and says which.
    ///
    /// # Errors
    ///
    /// When none works.
    pub(crate) fn attach_xdp(
        &mut self,
        object: &Object,
        program: Program,
        modes: &[XdpMode],
    ) -> Result<()> {
        let program = object::program(object, program)?;
        let mut failure = io::Error::from(Errno::EINVAL);
        for mode in modes {
            match sys::attach_xdp(program.as_fd(), self.index, mode.flags()) {
                Ok(attached) => {
                    let name = escape::text(self.name.as_bytes());
                    self.messages.say(format_args!("{name}: {mode} mode"));
                    self.messages.hook_in_use(format_args!("{mode} mode"));
                    self.link = Some(attached);
                    return Ok(());
                }
                Err(error) => {
                    self.messages.note(format!("hook refused: {mode} mode: {error}"));
                    failure = error;
                }
            }
        }
        Err(self.refused(failure))
    }

    fn refused(&self, failure: io::Error) -> Error {
        let errno = failure.raw_os_error().map(Errno::from_raw);
        let error = Error::new(format!("attaching to {}", self.name), failure);
        match errno {
            Some(Errno::EBUSY | Errno::EEXIST) => error
                .hint(format!("another XDP program is there already: ip link show {}", self.name)),
            _ => error.hint("-v shows what the kernel said of each mode"),
        }
    }

    /// Is it still there? Its name may be another one by now.
    ///
    /// # Errors
    ///
    /// When it is gone.
    pub(crate) fn check(&self) -> Result<()> {
        let interfaces = if_nameindex().doing("looking for the interface")?;
        let is_there = interfaces.iter().any(|interface| interface.index() == self.index);
        let gone =
            || Error::new(self.messages.tool(), format!("the interface {} is gone", self.name));
        if is_there { Ok(()) } else { Err(gone()) }
    }
}
