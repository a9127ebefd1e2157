"""What a merge request tells people: the whole of it as a page, and that nothing in it acts whatever it is given."""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ci_gitops.core.gates import GateState
from ci_gitops.core.markdown import fenced, harmless, in_html, link, web_address
from ci_gitops.core.mergerequest_text import Block, Section, parse_block, put_block
from ci_gitops.core.mergerequests import MergeRequest
from ci_gitops.core.promotion_text import (
    Built,
    LivePlan,
    Origin,
    RenderedChange,
    SourceCommit,
    Told,
    compare_address,
    sections,
)
from ci_gitops.core.request_text import commit_address, goes_back, way_back_of
from ci_gitops.core.running import Running
from ci_gitops.core.targets import Target
from ci_gitops.core.trailers import ImageMove, Trailers, ValueMove

GOLDEN = Path(__file__).parents[1] / "golden" / "promotion.md"
OLD, NEW = ("sha256:" + each * 32 for each in ("1a", "2b"))
WEB = "registry.example.com/shop/web"
PAGE = "https://gitlab.example.com/acme/config/-/merge_requests/7"
SOURCE = "https://gitlab.example.com/shop/web"
COMMAND = re.compile(r"^[ \t>*+-]*/[A-Za-z_]", re.MULTILINE)
#: GitLab's own pattern, which it looks for in the raw text.
CLOSING = re.compile(
    r"\b(?:clos(?:e[sd]?|ing)|fix(?:e[sd]|ing)?|resolv(?:e[sd]?|ing)|implement(?:s|ed|ing)?):? +"
    r"(?:issues? +)?(?:[\w/.-]*[#!]\d|https?://|[A-Z][A-Z0-9_]+-\d)",
    re.IGNORECASE,
)


def moved(new: str = f"{WEB}:1.2@{NEW}", old: str | None = f"{WEB}:1.1@{OLD}", app: str = "shop") -> Block:
    return Block().updated(Trailers((ImageMove("production", app, WEB, old, new),)))


def request(iid: int, title: str) -> MergeRequest:
    page = PAGE.replace("/7", f"/{iid}")
    return MergeRequest(iid, "b", "main", title, state="merged", url=page, merged_at=1_795_169_200)


def whole() -> Told:
    """All that a promotion can tell."""
    block = moved()
    commits = (
        SourceCommit("76954c76" + "0" * 32, "Weigh the basket (closes #12)", "Alice"),
        SourceCommit("4fee31ed" + "0" * 32, "Round prices to cents", "Bob"),
    )
    return Told(
        environment="production", block=block, branch="main", policy=(".ci-gitops.yaml",),
        origins=(Origin(
            WEB, Built(SOURCE, "a" * 40, "1.1"), Built(SOURCE, "b" * 40, "1.2"),
            compare_address(Built(SOURCE, "a" * 40), Built(SOURCE, "b" * 40), "gitlab"), commits, 3,
        ),),
        rendered=(
            RenderedChange("shop in production", ("update deployment/web",),
                           "@@ update deployment/web in shop @@\n@@ -13,1 +13,1 @@\n-  image: 1.1\n+  image: 1.2"),
            RenderedChange("cart in production"),
            RenderedChange("pay in production", trouble="kustomize cannot render it"),
        ),
        live=LivePlan("Against the cluster production", "1 to update", ("update deployment/web (spec.template)",)),
        gates=(GateState("ci", True, "the pipeline has passed"), GateState("approvals", False, "0 of 1 approval"),
               GateState("soak", True, "overridden: it burns", overridden=True)),
        proof=(Running(target=Target("shop", "staging", "."), revision="c" * 40, images=(f"{WEB}:1.2@{NEW}",),
                       healthy=True, reason="", since=1_795_251_600, evidence="records"),),
        page=PAGE, bringing=(request(6, "Update shop in staging to 1.2"),),
        earlier=(request(3, "Update shop in production to 1.1"),), commands=way_back_of(block, records=True),
        left_out=("the commits of `side`: the registry did not answer",),
    )  # fmt: skip


def test_the_whole_text_as_people_see_it() -> None:
    text = put_block("Please look at this.", whole().block, sections(whole()))
    assert text == GOLDEN.read_text(encoding="utf-8")


def test_without_facts_there_is_nothing_to_say() -> None:
    assert sections(Told(environment="production", block=moved())) == ()


@pytest.mark.parametrize(
    ("old", "new", "forge", "address"),
    [
        (SOURCE, SOURCE, "gitlab", f"{SOURCE}/-/compare/A...B"),
        (f"{SOURCE}.git", SOURCE, "local", f"{SOURCE}/-/compare/A...B"),
        (SOURCE, SOURCE, "github", f"{SOURCE}/compare/A...B"),
        ("https://github.com/o/r", "https://github.com/o/r", "gitlab", "https://github.com/o/r/compare/A...B"),
        ("https://gitlab.com/o/r", "https://gitlab.com/o/r/", "github", "https://gitlab.com/o/r/-/compare/A...B"),
        ("https://u:secret@github.com/o/r", "https://github.com/o/r", "", "https://github.com/o/r/compare/A...B"),
        (SOURCE, "https://other.example.com/shop/web", "gitlab", ""),
        ("git@host:o/r.git", "git@host:o/r.git", "gitlab", ""),
        ("javascript:alert(1)", "javascript:alert(1)", "gitlab", ""),
        ("", "", "gitlab", ""),
    ],
)
def test_where_two_commits_are_compared(old: str, new: str, forge: str, address: str) -> None:
    assert compare_address(Built(old, "A"), Built(new, "B"), forge) == address


def test_a_page_of_a_commit() -> None:
    assert commit_address(PAGE, "abc") == "https://gitlab.example.com/acme/config/-/commit/abc"
    assert commit_address("https://github.com/octo/config/pull/3", "abc") == "https://github.com/octo/config/commit/abc"
    assert commit_address("/srv/config.git!3", "abc") == ""


def test_the_way_back_without_records_names_the_old_versions() -> None:
    values = (ValueMove("production", "shop", "apps/shop/values.yaml", "replicas", "2", "3 4"),)
    images = (ImageMove("production", "shop", "web", f"{WEB}:1.1", f"{WEB}:1.2"),
              ImageMove("production", "shop", "new", None, "new:1"))  # fmt: skip
    block = Block().updated(Trailers(images, values))
    assert way_back_of(block, records=True) == ("ci-gitops rollback --environment production --app shop",)
    assert way_back_of(block, records=False) == (
        f"ci-gitops update web={WEB}:1.1 --environment production --app shop",
        "ci-gitops update --set shop:apps/shop/values.yaml:replicas=2 --environment production --app shop",
    )


def test_a_way_back_says_where_it_goes() -> None:
    block = Block((Trailers(moved().commits[0].images, back_to="d" * 40),))
    section = goes_back(block, PAGE)
    assert section
    assert section.first
    assert section.text.startswith(
        "**This goes back** to what ran well at [`dddddddddddd`](<https://gitlab.example.com"
    )


def test_sections_give_way_in_the_order_of_their_weight() -> None:
    made = [Section("d" * 5_000, "the diff is in the file", 10), Section("g" * 3_000, "gates", 70), Section("w" * 500)]
    lengths = {}
    for limit in (10_000, 9_200, 5_000, 1_800):
        text = put_block("", moved(), made, limit)
        assert len(text) <= limit
        lengths[limit] = (
            "d" * 5_000 in text,
            "the diff is in the file" in text,
            "g" * 3_000 in text,
            "w" * 500 in text,
        )
    assert lengths == {
        10_000: (True, False, True, True),
        9_200: (True, False, True, False),
        5_000: (False, True, True, False),
        1_800: (False, True, False, False),
    }


def test_words_of_the_moment_are_not_written_again() -> None:
    first = put_block("", moved(), [Section("waits for 5 minutes", gist="waits")])
    assert put_block(first, moved(), [Section("waits for 4 minutes", gist="waits")]) == first
    assert put_block(first, moved(), [Section("holds", gist="holds")]) != first
    damaged = first.replace("waits for", "never mind")
    assert "waits for 4 minutes" in put_block(damaged, moved(), [Section("waits for 4 minutes", gist="waits")])


def test_a_hundred_moves_stay_a_page() -> None:
    apps = [f"app{number}" for number in range(100)]
    block = Block().updated(Trailers(tuple(ImageMove("production", app, WEB, f"{WEB}:1", f"{WEB}:2") for app in apps)))
    told = Told(environment="production", block=block, commands=way_back_of(block, records=True))
    text = put_block("", block, sections(told))
    assert "<details><summary>100 changes in 100 targets</summary>" in text
    assert text.count("ci-gitops rollback") == 1


def test_three_hundred_targets_fit_on_github() -> None:
    moves = []
    for number in range(300):
        old, new = (f"{WEB}:{tag}@sha256:{hashlib.sha256(f'{tag}{number}'.encode()).hexdigest()}" for tag in ("1", "2"))
        moves.append(ImageMove("production", f"app{number}", WEB, old, new))
    block = Block().updated(Trailers(tuple(moves)))
    told = Told(environment="production", block=block, commands=way_back_of(block, records=True))
    text = put_block("By Alice", block, sections(told), 65_336)
    assert len(text) <= 65_336
    assert parse_block(text) == block
    assert "more changes not listed here" in text
    assert put_block(text, block, sections(told), 65_336) == text


def test_what_is_not_packed_by_us_is_no_block() -> None:
    for packed in ("AAAA", "!", base64.b64encode(zlib.compress(b"3")).decode()):
        text = f'<!-- ci-gitops:begin {{"packed":"{packed}"}} -->\nx\n<!-- ci-gitops:end -->'
        assert parse_block(text) in (None, Block())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Closes #12, fixes: a/b!3", "Closes\u00a0#\u200b12, fixes:\u00a0a/b!\u200b3"),
        ("resolves GH-4 and ABC-12", "resolves\u00a0GH-\u200b4 and ABC-12"),
        ("see https://evil.example/x www.evil.example", "see https:\u200b//evil.example/x www\u200b.evil.example"),
        ("![x](http://a) <img src=x> `code`", "!\u200b\\[x\\](http:\u200b//a) &lt;img src=x&gt; \\`code\\`"),
        ("a_b __init__ *x* ~~y~~", "a_b \\_\\_init\\_\\_ \\*x\\* \\~\\~\u200by\\~\\~"),
        ("1 | 2\u202e\x1b[31m", "1 \\| 2"),
        ("/merge", "\\/merge"),
    ],
)
def test_foreign_words_are_shown_and_do_nothing(text: str, shown: str) -> None:
    assert harmless(text) == shown


def test_no_fence_is_ended_from_inside() -> None:
    text = fenced("a\n````\n/merge\n<!-- ci-gitops:end -->\n</details>")
    assert text.startswith("`````\na\n````\n\u200b/merge\n<!\u200b-- ")
    assert text.endswith("\n`````")


def test_links_lead_to_the_web_only() -> None:
    assert link("`x`", "https://u:p@Git.example.com:8443/a (b)?q=<y>#z") == (
        "[`x`](<https://git.example.com:8443/a%20%28b%29?q=%3Cy%3E#z>)"
    )
    for address in ("javascript:alert(1)", "data:text/html,x", "https://", "https://a b/", "http://[", "//host/x", ""):
        assert web_address(address) is None
    assert link("`x`", "ftp://host/x") == "`x`"
    assert in_html('<b a="x">&') == "&lt;b a=&quot;x&quot;&gt;&amp;"


_words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
_evil = st.sampled_from([
    "/merge", "\n/close", "\r/approve", "- /label ~x", "<!-- ci-gitops:end -->", "<!-- ci-gitops:begin {} -->", "```",
    "`" * 40, "@alice", "#1", "!1", "Closes #1", "Fixes\t#2", "closes https://x/-/issues/1", "|", "</details>",
    "\x1b]8;;http://e\x07", "\u2028/merge", "\x0b/merge", "> \n> /merge", "[x](javascript:1)", "-->", "\\",
    "\\\n/merge", "\u202e", "fix PROJ-1", "fixes issue #1",
])  # fmt: skip
_text = st.lists(_words | _evil, min_size=1, max_size=4).map("".join)
_short = st.text(max_size=60)


@st.composite
def _told(draw: st.DrawFn) -> Told:
    texts = [draw(_text) for _ in range(12)]
    moves = (ImageMove("production", texts[0], texts[1], texts[2], texts[3]),)
    values = (ValueMove("production", texts[0], texts[4], texts[5], texts[6], texts[7]),)
    block = Block().updated(Trailers(moves, values))
    built = Built(texts[8], texts[9], texts[10])
    commits = tuple(SourceCommit(texts[9], each, texts[11]) for each in texts)
    earlier = MergeRequest(draw(st.integers(0, 9)), "b", "main", texts[1], url=texts[2], state="merged")
    return Told(
        environment="production", block=block, branch=texts[3], policy=tuple(texts[:3]),
        origins=(Origin(texts[4], built, built, texts[8], commits, 2, texts[5]),),
        rendered=(RenderedChange(texts[6], tuple(texts), "\n".join(texts)), RenderedChange(texts[7], trouble=texts[8])),
        live=LivePlan(texts[9], texts[10], tuple(texts)), gates=(GateState(texts[11], False, texts[0]),),
        proof=(Running(target=Target(texts[1], texts[2], "."), revision=texts[3], images=tuple(texts), healthy=False,
                       reason=texts[4], since=5, evidence="forge"),),
        page=texts[5], bringing=(earlier,), earlier=(earlier,), commands=tuple(texts), left_out=tuple(texts),
    )  # fmt: skip


@given(_told(), _short, st.sampled_from([65_336, 1_000_000]))
def test_whatever_comes_nothing_acts_and_the_block_stays_one(told: Told, around: str, limit: int) -> None:
    text = put_block(harmless(around), told.block, sections(told), limit)
    assert len(text) <= limit
    assert parse_block(text) == told.block
    assert text.count("<!--") == 2
    assert text.count("ci-gitops:begin") - text.count("\u200b-- ci-gitops:begin") >= 1
    body = text.partition(" -->\n")[2]
    assert not COMMAND.search(body)
    assert not CLOSING.search(body)
    assert put_block(text, told.block, sections(told), limit) == text
    assert len(put_block(harmless(around), told.block, sections(told), 6_000)) <= max(6_000, _least(told, around))


def _least(told: Told, around: str) -> int:
    """What cannot be left out: people's own text, what the block holds for us, and five rows of its table."""
    return len(put_block(harmless(around), told.block))


class _Page(HTMLParser):
    """What a browser makes of it: the tags, the targets of links, and the text that stands in no code."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.words: list[str] = []
        self._in_code = 0
        self.feed(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._in_code += tag == "code"
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_endtag(self, tag: str) -> None:
        self._in_code -= tag == "code"

    def handle_data(self, data: str) -> None:
        if not self._in_code:
            self.words.append(data)


@given(_told())
def test_whatever_comes_the_page_is_ours(told: Told) -> None:
    page = _Page(put_block("", told.block, sections(told)))
    assert page.tags <= {
        "p", "table", "thead", "tbody", "tr", "th", "td", "code", "pre", "strong", "em", "b", "a", "h4", "ul", "li",
        "details", "summary",
    }  # fmt: skip
    assert all(web_address(address) for address in page.links)
    shown = "\n".join(page.words)
    assert not re.search(r"[@#!]\w|\bGH-\d|://|\bwww\.", shown.replace("#### ", "")), shown
    headings = re.findall(r"^(?:Commits|What changes in the manifests|Gates|How to take it back)$", shown, re.MULTILINE)
    assert len(headings) == 4
