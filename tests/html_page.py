"""Reads a page of HTML as a browser would, for the tests of what writes pages."""

import json
from html.parser import HTMLParser

# Tags without an end.
_VOID = {"meta", "img", "link", "br", "input", "hr"}


class Page(HTMLParser):
    """What a browser would see: tags with their attributes, headings, cells, the text."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.texts, self._open = [], {}, []
        self.feed(source)
        self.headings = [text for tag in ("h1", "h2") for text in self.texts.get(tag, [])]
        self.text = " ".join(" ".join(self.texts.get("body", [""])[0].split()).split())
        self.charts = json.loads(self.scripts()[1])

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append((tag, len(self.texts.setdefault(tag, []))))
            self.texts[tag].append("")

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag, f"</{tag}> closes another tag"
        if tag in ("td", "th"):
            self.handle_data(" ")

    def handle_data(self, data):
        inside_script = any(tag in ("script", "style") for tag, _ in self._open)
        for tag, number in self._open[-1:] if inside_script else self._open:
            self.texts[tag][number] += data

    def scripts(self):
        return self.texts["script"]

    def rows(self):
        """All rows of all tables, their cells one after the other."""
        return [" ".join(row.split()) for row in self.texts["tr"]]
