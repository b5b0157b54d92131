//! What goes wrong again and again is said once.

use crate::output::messages::Messages;

/// Something that may be wrong, and what was said of it last, as long as it is.
#[derive(Debug)]
pub(super) struct Complaint {
    messages: Messages,
    said: Option<String>,
}

impl Complaint {
    pub(super) fn new(messages: Messages) -> Self {
        Self { messages, said: None }
    }

    /// How it is now: says what is wrong, if that is not what was said last.
    pub(super) fn tell(&mut self, now: Option<String>) {
        if let Some(text) = now.as_ref().filter(|_| now != self.said) {
            self.messages.say(text);
        }
        self.said = now;
    }

    /// Nothing is wrong any more; was something?
    pub(super) fn end(&mut self) -> bool {
        self.said.take().is_some()
    }
}
