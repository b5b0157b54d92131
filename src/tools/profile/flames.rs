//! Flame graphs, drawn by the crate inferno.

use std::io::{self, Write};

use inferno::flamegraph::color::{BackgroundColor, Color};
use inferno::flamegraph::{self, Options, TextTruncateDirection};

use super::files::Sampled;
use super::tree::Tree;

mod frames;
mod lines;

use frames::Frames;
use lines::Lines;

/// What fewer than one of so many samples went through is too thin to be seen.
const SEEN_OF: u64 = 2000;
const LEGEND: &str = "blue: the kernel; orange: programs; grey: threads, and what is no function";
const WHITE: Color = Color { r: 255, g: 255, b: 255 };

pub(super) fn draw(sampled: &Sampled<'_>, out: &mut dyn Write) -> io::Result<()> {
    let all = sampled.all();
    if all == 0 {
        return draw_nothing(&sampled.title(), out);
    }
    let tree = Tree::new(sampled.in_order().into_iter());
    let mut frames = Frames::new(sampled.functions);
    let mut least = all.div_ceil(SEEN_OF);
    let lines = loop {
        match Lines::of(&tree, &mut frames, all, least) {
            Some(lines) => break lines,
            // It would be too much.
            None => least *= 2,
        }
    };
    let mut options = Options::default();
    options.title = sampled.title();
    options.subtitle = Some(LEGEND.into());
    // Not all of them are functions.
    options.name_type = String::new();
    options.min_width = 100.0 * (least as f64 - 0.5) / all as f64;
    options.text_truncate_direction = TextTruncateDirection::Right;
    options.bgcolors = Some(BackgroundColor::Flat(WHITE));
    options.palette_map = Some(frames.colors());
    flamegraph::from_lines(&mut options, lines.iter().map(String::as_str), out)
}

/// inferno takes it for a mistake.
fn draw_nothing(title: &str, out: &mut dyn Write) -> io::Result<()> {
    let title = title.replace('&', "&amp;").replace('<', "&lt;");
    writeln!(
        out,
        r#"<?xml version="1.0"?>
<svg xmlns="http://www.w3.org/2000/svg" width="1200" height="60">
<text x="600" y="35" text-anchor="middle" font-family="monospace" font-size="17">{title}</text>
</svg>"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::profile::files::tests::{Made, made};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn drawn(made: &Made) -> String {
        let mut svg = Vec::new();
        draw(&made.sampled(), &mut svg).unwrap();
        String::from_utf8(svg).unwrap()
    }

    /// What is between the begin and the end, each time.
    fn between<'a>(text: &'a str, begin: &'a str, end: &'a str) -> Vec<&'a str> {
        let rests = text.split(begin).skip(1);
        rests.map(|rest| rest.split_once(end).unwrap().0).collect()
    }

    #[test]
    fn says_what_it_shows() {
        let made = Made::new("a<b> & c", &[(b"sh", &["k:read", "main"], 1_204)]);
        let svg = drawn(&made);
        let title = "a&lt;b&gt; &amp; c: 99 Hz, 12.3 s, 1,204 samples";
        assert!(svg.contains(&format!(">{title}</text>")), "{svg}");
        assert!(svg.contains(&format!(">{LEGEND}</text>")), "{svg}");
    }

    #[test]
    fn kernel_and_programs_have_their_colors() {
        let stack: &[&str] = &["main_[k]", "k:read", "read", "[mark]", "f 12"];
        let svg = drawn(&Made::new("", &[(b"# 12", stack, 3)]));
        let titles = between(&svg, "<title>", " (3 samples, 100");
        assert_eq!(titles, ["all", r"\x23 12", "main_[k]", "read", "read", "[mark]", "f 12"]);
        let is = |color: &str| match color.split(',').collect::<Vec<_>>()[..] {
            [r, g, b] if r == g && g == b => "grey",
            ["250", _, _] => "orange",
            [_, _, "250"] => "blue",
            _ => "none of them",
        };
        let (_, frames) = svg.split_once("total_samples=").unwrap();
        let colors = between(frames, "rgb(", ")").into_iter().map(is).collect::<Vec<_>>();
        assert_eq!(colors, ["grey", "grey", "orange", "blue", "orange", "grey", "orange"]);
    }

    #[test]
    fn nothing_is_a_picture_too() {
        let svg = drawn(&Made::new("a<b", &[]));
        assert!(svg.contains(">a&lt;b: 99 Hz, 12.3 s, 0 samples</text>"), "{svg}");
    }

    proptest! {
        #[test]
        fn is_a_picture_whatever_the_names_are(made in made()) {
            let svg = drawn(&made);
            let (_, frames) = svg.split_once("</script>").unwrap();
            let tags = frames.split('<').skip(1).map(|tag| tag.trim_start_matches('/'));
            let mut tags = tags.map(|tag| tag.split([' ', '>']).next().unwrap());
            let known = ["svg", "rect", "text", "g", "title"];
            prop_assert_eq!(tags.find(|tag| !known.contains(tag)), None);
            prop_assert!(!frames.chars().any(crate::escape::is_hostile), "{frames}");
            let all = format!("total_samples=\"{}\"", made.sampled().all());
            prop_assert!(frames.contains(&all), "{frames}");
            let entities = between(frames, "&", ";").into_iter().collect::<BTreeSet<_>>();
            let known = ["lt", "gt", "amp", "quot", "apos"].into_iter().collect();
            prop_assert!(entities.is_subset(&known), "{entities:?}");
        }
    }
}
