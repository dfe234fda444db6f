// Asks the libraries of X and Bluesky how long posts are and which links they have, and writes the answers into the fixture of our tests.
//
//     mkdir /tmp/oracle && cd /tmp/oracle && npm install twitter-text@3.1.0 @atproto/api@0.19.19
//     node scripts/checks/post_lengths.js /tmp/oracle           # the fixture; run it in the root of the repository
//     node scripts/checks/post_lengths.js /tmp/oracle --data    # also the top-level domains and emoji that X knows
//
// To add a case, add {"text": "…"} to the fixture first. Positions of links are code points of the text in NFC on X, and bytes of
// UTF-8 on Bluesky. What Mastodon counts is written by post_lengths.rb.

const fs = require("fs");
const { createRequire } = require("module");

const FIXTURE = "tests/jobs/writing/fixtures/post_lengths.json";
const library = createRequire(`${process.argv[2]}/`);
const twitter = library("twitter-text");
const { RichText } = library("@atproto/api");

const escaped = (text) => text.replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);

function onX(text) {
  const normal = text.normalize();
  const links = twitter.extractUrlsWithIndices(normal);
  const { weightedLength, valid } = twitter.parseTweet(text);
  return { length: weightedLength, valid, links: links.map((link) => [[...normal.slice(0, link.indices[0])].length, link.url]) };
}

function onBluesky(text) {
  const rich = new RichText({ text });
  rich.detectFacetsWithoutResolution();
  const links = (rich.facets ?? []).filter((facet) => facet.features[0].$type.endsWith("#link"));
  return {
    length: rich.graphemeLength,
    bytes: rich.length,
    links: links.map((facet) => [facet.index.byteStart, facet.index.byteEnd, facet.features[0].uri]),
  };
}

function writeDomains() {
  const names = (list) => library(`twitter-text/dist/regexp/${list}`).source.match(/^\(\?:\(\?:(.*)\)\(\?=/)[1].split("|");
  const head = `# Top-level domains that X knows: those of twitter-text 3.1.0 (npm), regexp/validGTLD and regexp/validCCTLD, in their order.
# Copyright 2018 Twitter, Inc. Licensed under the Apache License, Version 2.0. Made by scripts/checks/post_lengths.js.
`;
  const all = [...names("validGTLD"), ...names("validCCTLD")];
  fs.writeFileSync("jobs/writing/links/top_level_domains.txt", `${head}${all.join("\n")}\n`);
}

// Rewrites a pattern on UTF-16 units, with pairs such as \ud83c[\udde6-\uddff], as a pattern on code points for Python.
function writeEmoji() {
  const name = (point) => (point > 0xffff ? `\\U${point.toString(16).padStart(8, "0")}` : `\\u${point.toString(16).padStart(4, "0")}`);
  const unit = "(?:\\\\u[0-9a-f]{4}|[^\\]\\\\])";
  const tokens = new RegExp(`\\[((?:${unit}(?:-${unit})?)+)\\]|(\\\\u[0-9a-f]{4})|([^])`, "g");
  const value = (text) => (text.length > 1 ? parseInt(text.slice(2), 16) : text.charCodeAt(0));
  const ranges = (text) => [...text.matchAll(new RegExp(`(${unit})(?:-(${unit}))?`, "g"))].map((m) => [value(m[1]), value(m[2] ?? m[1])]);
  let high = null;
  let pattern = "";
  for (const [, many, one, other] of library("twemoji-parser/dist/lib/regex").default.source.matchAll(tokens)) {
    const whole = (low) => (high === null ? low : 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
    if (one && value(one) >= 0xd800 && value(one) < 0xdc00) {
      high = value(one);
      continue;
    }
    if (many) {
      pattern += `[${ranges(many).map(([a, b]) => name(whole(a)) + (b > a ? `-${name(whole(b))}` : "")).join("")}]`;
    } else {
      pattern += one ? name(whole(value(one))) : other > "\x7f" ? name(other.codePointAt(0)) : other;
    }
    high = null;
  }
  const license = fs.readFileSync(`${process.argv[2]}/node_modules/twemoji-parser/LICENSE.md`, "utf8").trim().split("\n");
  const head = ["The emoji of twemoji-parser 11.0.2 (npm) as a pattern on code points. Made by scripts/checks/post_lengths.js.", "", ...license];
  fs.writeFileSync("jobs/writing/x_emoji.txt", `${head.map((line) => `# ${line}`).join("\n")}\n${pattern.replaceAll("|", "\n|")}\n`);
}

const cases = JSON.parse(fs.readFileSync(FIXTURE, "utf8"));
const lines = cases.map(({ text, mastodon }) => escaped(JSON.stringify({ text, x: onX(text), bluesky: onBluesky(text), mastodon })));
fs.writeFileSync(FIXTURE, `[\n${lines.join(",\n")}\n]\n`);
if (process.argv[3] === "--data") {
  writeDomains();
  writeEmoji();
}
