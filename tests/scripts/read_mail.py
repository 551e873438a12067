#!/usr/bin/env python3
"""Reads mails as a stranger does and prints what it finds as JSON.

  read_mail.py FILE...        each file is one message
  read_mail.py --mbox FILE    a mailbox

For each mail: its headers, its defects, whether text and HTML say the same
words in the same order, what in the HTML a reader may not open, and the
thread that a reader puts it into by References and In-Reply-To alone.
"""

import email
import email.policy
import html.parser
import json
import mailbox
import re
import sys


class Words(html.parser.HTMLParser):
    """The words that a reader sees, and everything that is not plain layout."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.text, self.hidden, self.href, self.odd, self.tags = [], 0, [], [], []

    def handle_starttag(self, tag, attrs):
        self.text.append(" ")
        self.tags.append(tag)
        attrs = dict(attrs)
        if tag in ("head", "title", "style", "script"):
            self.hidden += 1
        if tag in ("img", "script", "link", "iframe", "object", "form", "style", "svg", "video", "audio", "base"):
            self.odd.append(f"<{tag}>")
        for name, value in attrs.items():
            if name.startswith("on") or name in ("src", "background", "srcset"):
                self.odd.append(f"{name}={value}")
            if name == "style" and re.search(r"url\(|expression|@import|position", value or ""):
                self.odd.append(f"style={value}")
        if tag == "a":
            href = attrs.get("href", "")
            if not re.match(r"https?://", href):
                self.odd.append(f"href={href}")
            self.href.append(href)

    def handle_endtag(self, tag):
        if tag == "a":
            self.text.append(": " + self.href.pop())
        if tag in ("head", "title", "style", "script"):
            self.hidden -= 1
        self.text.append(" ")

    def handle_data(self, data):
        if not self.hidden:
            self.text.append(data)

    def words(self):
        return "".join(self.text).split()


def words_of_text(text):
    words = []
    for line in text.splitlines():
        if re.fullmatch(r"-+ ?", line):
            continue
        line = re.sub(r"^- ", "", line)
        line = re.sub(r"\|[#.]{20}\|", " ", line)
        words += line.split()
    return words


def defects(message):
    found = [type(d).__name__ for d in message.defects]
    for name, value in message.items():
        found += [f"{name}: {type(d).__name__}" for d in getattr(value, "defects", ())]
    return found


def read(raw):
    message = email.message_from_bytes(raw, policy=email.policy.default)
    head, _, _ = raw.partition(b"\n\n") if b"\r\n\r\n" not in raw else raw.partition(b"\r\n\r\n")
    parts = [part for part in message.walk() if not part.is_multipart()]
    problems = defects(message) + [f"part {p.get_content_type()}: {d}" for p in message.walk() for d in defects(p)]
    text = next((p.get_content() for p in parts if p.get_content_type() == "text/plain"), "").replace("\r\n", "\n")
    page = next((p.get_content() for p in parts if p.get_content_type() == "text/html"), "")
    seen = Words()
    seen.feed(page)
    seen.close()
    in_text, in_html = words_of_text(text), seen.words()
    differ = next((i for i, (a, b) in enumerate(zip(in_text, in_html)) if a != b), None)
    if differ is None and len(in_text) != len(in_html):
        differ = min(len(in_text), len(in_html))
    around = None
    if differ is not None:
        around = {"text": in_text[max(0, differ - 5) : differ + 5], "html": in_html[max(0, differ - 5) : differ + 5]}
    headers = {}
    for name, value in message.items():
        headers.setdefault(name, []).append(str(value))
    return {
        "headers": headers,
        "raw_header_names": re.findall(rb"(?m)^([!-9;-~]+):", head),
        "to": [a.addr_spec for a in message["To"].addresses] if message["To"] else [],
        "subject": str(message["Subject"]),
        "defects": problems,
        "structure": message.get_content_type(),
        "parts": [p.get_content_type() for p in parts],
        "encodings": [str(p["Content-Transfer-Encoding"]) for p in parts],
        "charsets": [p.get_content_charset() for p in parts],
        "text": text,
        "first_lines": text.splitlines()[:3],
        "html_words": len(in_html),
        "same_facts": differ is None and bool(in_text),
        "differ": around,
        "odd_html": seen.odd,
        "links": re.findall(r'href="([^"]*)"', page),
        "longest_line": max(len(line.rstrip(b"\r")) for line in raw.split(b"\n")),
        "ascii": raw.isascii(),
        "text_width": max((len(line) for line in text.splitlines()), default=0),
        "id": str(message["Message-ID"]),
        "refers": re.findall(r"<[^<>]+>", f"{message['References'] or ''} {message['In-Reply-To'] or ''}"),
    }


def main():
    args = sys.argv[1:]
    if args[:1] == ["--mbox"]:
        raws = [m.as_bytes(policy=email.policy.compat32) for m in mailbox.mbox(args[1])]
    else:
        raws = [open(path, "rb").read() for path in args]
    mails = [read(raw) for raw in raws]
    known = {mail["id"] for mail in mails}
    roots = {}
    for mail in mails:
        first = next((ref for ref in mail["refers"] if ref in known), mail["id"])
        mail["thread"] = roots.get(first, first)
        roots[mail["id"]] = mail["thread"]
        mail["raw_header_names"] = [name.decode() for name in mail["raw_header_names"]]
    json.dump(mails, sys.stdout)


main()
