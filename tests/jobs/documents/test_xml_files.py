"""Shows the formats in XML: XLIFF 1.2 and 2.x, and Android's strings."""

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.documents.catalogues.android import AndroidFormat
from jobs.documents.document import DocumentFormat, State
from jobs.documents.exchange.xliff import XliffFormat
from jobs.documents.exchange.xml_tokens import xml_tokens
from jobs.documents.source import Options
from jobs.errors import DocumentError
from tests.support.documents.reading import read, texts, translated

XLIFF, ANDROID = XliffFormat(), AndroidFormat()
OLD = """<?xml version="1.0" encoding="UTF-8"?>
<xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2">
 <file original="a.txt" source-language="en" datatype="plaintext">
  <body>
   <trans-unit id="1">
    <source>Hello <g id="1">big</g> <x id="2"/>world &amp; &lt;b&gt;all&lt;/b&gt;</source>
   </trans-unit>
   <trans-unit id="2"><source>Done</source><target state="final">Fertig</target></trans-unit>
   <trans-unit id="3"><source>Open</source><target state="new"/><note>A verb</note></trans-unit>
   <trans-unit id="4" translate="no"><source>Brand</source></trans-unit>
   <trans-unit id="5"><source>%s<bpt id="1">&lt;i&gt;</bpt>files</source>
    <alt-trans><source>old</source><target>alt</target></alt-trans></trans-unit>
  </body>
 </file>
</xliff>
"""
NEW = """<xliff xmlns="urn:oasis:names:tc:xliff:document:2.0" version="2.0" srcLang="en">
 <file id="f"><unit id="u"><segment id="s"><source>A <pc id="1">word</pc><ph id="2"/></source></segment>
  <segment><source>More</source><target>Mehr</target></segment></unit></file>
</xliff>
"""
STRINGS = """<?xml version="1.0" encoding="utf-8"?>
<resources xmlns:xliff="urn:oasis:names:tc:xliff:document:1.2">
    <!-- A greeting -->
    <string name="hello">It\\'s <b>%1$s</b>\\n\\u00e9 &amp; <xliff:g id="x">%2$d</xliff:g></string>
    <string name="app" translatable="false">Brand</string>
    <string name="html"><![CDATA[Some <i>text</i>]]></string>
    <string name="ref">@string/hello</string>
    <string-array name="days"><item>One day</item>
        <item>12</item></string-array>
    <plurals name="files">
        <item quantity="one">%d file</item>
        <item quantity="other">%d files</item>
    </plurals>
</resources>
"""


def test_xliff_1_2() -> None:
    found = read(XLIFF, OLD, Options(target_language="de"))
    assert [(one.id, one.text, one.state, one.target) for one in found] == [
        ("a.txt/1", 'Hello <g id="1">big</g> <x id="2"/>world & <b>all</b>', State.NEW, ""),
        ("a.txt/2", "Done", State.DONE, "Fertig"),
        ("a.txt/3", "Open", State.NEW, ""),
        ("a.txt/5", '%s<bpt id="1">&lt;i&gt;</bpt>files', State.NEW, ""),
    ]
    new = {
        "a.txt/1": '<x id="2"/><b>Alle</b> & <g id="1">große</g> < Welt',
        "a.txt/3": "Öffnen",
        "a.txt/5": '%s<bpt id="1">&lt;i&gt;</bpt>Dateien',
    }
    made = translated(XLIFF, OLD, new, Options(target_language="de")).decode()
    source = '    <source>Hello <g id="1">big</g> <x id="2"/>world &amp; &lt;b&gt;all&lt;/b&gt;</source>\n'
    target = '    <target><x id="2"/>&lt;b>Alle&lt;/b> &amp; <g id="1">große</g> &lt; Welt</target>\n'
    assert made == (
        OLD.replace(source, source + target)
        .replace('<target state="new"/>', '<target state="translated">Öffnen</target>')
        .replace("files</source>\n", 'files</source><target>%s<bpt id="1">&lt;i&gt;</bpt>Dateien</target>\n')
        .replace('datatype="plaintext">', 'datatype="plaintext" target-language="de">')
    )
    ET.fromstring(made)
    assert {one.id: one.target for one in read(XLIFF, made, Options(target_language="de"))}["a.txt/1"] == new["a.txt/1"]
    other = read(XLIFF, made, Options(target_language="fr"))
    assert {one.state for one in other} == {State.NEW}


def test_xliff_2() -> None:
    options = Options(target_language="de")
    assert [(one.id, one.text, one.state) for one in read(XLIFF, NEW, options)] == [
        ("f/u/s", 'A <pc id="1">word</pc><ph id="2"/>', State.NEW),
        ("f/u", "More", State.DONE),
    ]
    made = translated(XLIFF, NEW, {"f/u/s": '<ph id="2"/><pc id="1">Wort</pc>'}, options).decode()
    assert made == NEW.replace('srcLang="en"', 'srcLang="en" trgLang="de"').replace(
        '<ph id="2"/></source>', '<ph id="2"/></source><target><ph id="2"/><pc id="1">Wort</pc></target>'
    )


def test_android() -> None:
    options = Options(target_language="pl")
    assert [(one.id, one.text) for one in read(ANDROID, STRINGS, options)] == [
        ("hello", 'It\'s <b>%1$s</b>\né & <xliff:g id="x">%2$d</xliff:g>'),
        ("html", "Some <i>text</i>"),
        ("days[0]", "One day"),
        ("files[one]", "%d file"),
        ("files[few]", "%d files"),
        ("files[many]", "%d files"),
        ("files[other]", "%d files"),
    ]
    assert read(ANDROID, STRINGS)[0].context == "A greeting"
    new = {
        "hello": "<b>%1$s</b> & 'x'\n<xliff:g id=\"x\">%2$d</xliff:g>",
        "html": "<i>Tekst</i> & x",
        "days[0]": "@Dzień  1",
        "files[one]": "%d plik",
        "files[few]": "%d pliki",
        "files[many]": "%d plików",
    }
    made = translated(ANDROID, STRINGS, new, options).decode()
    assert made == (
        STRINGS.replace("It\\'s <b>%1$s</b>\\n\\u00e9 &amp; ", "<b>%1$s</b> &amp; \\'x\\'\\n")
        .replace("Some <i>text</i>", "<i>Tekst</i> & x")
        .replace("One day", "\\@Dzień \\u00201")
        .replace(
            '<item quantity="one">%d file</item>\n',
            '<item quantity="one">%d plik</item>\n        <item quantity="few">%d pliki</item>\n'
            '        <item quantity="many">%d plików</item>\n',
        )
    )
    again = {one.id: one.text for one in read(ANDROID, made, options)}
    assert {name: again[name] for name in new} == new


@pytest.mark.parametrize(
    ("form", "text", "message"),
    [
        pytest.param(XLIFF, OLD[:300], "it is not valid XML: no element found|unclosed token", id="cut off"),
        pytest.param(
            XLIFF, "<tmx/>", "line 1: its first element is not xliff: give an XLIFF file", id="another format"
        ),
        pytest.param(ANDROID, "<a/>", "line 1: its first element is not resources", id="another XML"),
        pytest.param(
            ANDROID, "<resources>\n<string></resources>", "line 2: it is not valid XML: mismatched tag", id="tags"
        ),
        pytest.param(ANDROID, "<a>" * 1000, "nested more than 200 deep", id="1,000 deep"),
        pytest.param(
            XLIFF,
            '<!DOCTYPE x [<!ENTITY a "b"><!ENTITY c "&a;&a;">]><xliff>&c;</xliff>',
            "it declares entities, which are not read",
            id="a bomb of entities",
        ),
        pytest.param(ANDROID, b"<resources>\xff</resources>", "line 1: it is not valid utf-8", id="wrong bytes"),
    ],
)
def test_what_cannot_be_read(form: DocumentFormat, text: str | bytes, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        read(form, text)


@pytest.mark.parametrize(("text", "fault"), [("x", "lost"), ('<x id="2"/>big</g> <b>a</b><g id="1">', "not in order")])
def test_a_damaged_translation_is_refused(text: str, fault: str) -> None:
    with pytest.raises(DocumentError, match=f"line 6: segment a.txt/1: .*{fault}"):
        translated(XLIFF, OLD, {"a.txt/1": text})


def test_encodings_and_line_ends_are_kept() -> None:
    data = ("\ufeff" + OLD.replace("\n", "\r\n").replace("UTF-8", "UTF-16")).encode("utf-16-le")
    made = translated(XLIFF, data, {"a.txt/3": "Łódź"})
    assert made.decode("utf-16-le") == data.decode("utf-16-le").replace('"new"/>', '"translated">Łódź</target>')
    latin = '<?xml version="1.0" encoding="ISO-8859-1"?><resources><string name="a">é x</string></resources>'.encode(
        "latin-1"
    )
    assert texts(ANDROID, latin) == ["é x"]


WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Cn"]) | st.sampled_from("<>&'\"\\@?% \n"), max_size=20
)


@given(WORDS, WORDS.filter(str.strip))
def test_any_words_come_back(words: str, new: str) -> None:
    inner = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for form, text in (
        (XLIFF, f'<xliff version="1.2"><file><trans-unit id="1"><source>a{inner}</source></trans-unit></file></xliff>'),
        (ANDROID, f'<resources><string name="1">a{inner}</string></resources>'),
    ):
        found = read(form, text)
        if not found[0].marks:
            made = translated(form, text, {found[0].id: f"x{new}"})
            again = read(form, made)[0]
            assert (again.target if form is XLIFF else again.text) == f"x{new}"
            ET.fromstring(made)


@given(
    st.lists(
        st.sampled_from(["<a>", "</a>", "<b/>", "x", "&amp;", "<!--c-->", "<![CDATA[d]]>", "\n", "<?p i?>"]),
        max_size=12,
    )
)
def test_tokens_are_the_text(parts: list[str]) -> None:
    text = f"<r>{''.join(parts)}</r>"
    try:
        tokens = xml_tokens(text)
    except ValueError:
        return
    assert "".join(one.raw for one in tokens) == text


UNIT = '<xliff version="1.2"><file original="f" target-language="fr"><body>%s</body></file></xliff>'


def test_a_source_cut_into_sentences_keeps_the_marks_of_its_sentences() -> None:
    first, second = '<mrk mtype="seg" mid="1">%s</mrk>', '<mrk mtype="seg" mid="2">%s</mrk>'
    both = f"{first} {second}"
    unit = f'<trans-unit id="1"><source>One. Two.</source><seg-source>{both % ("One.", "Two.")}</seg-source>%s</trans-unit>'
    data = UNIT % (unit % f"<target>{both % ('', '')}</target>")
    (found,) = read(XLIFF, data, Options(target_language="fr"))
    assert (found.text, found.state, found.target) == (both % ("One.", "Two."), State.NEW, "")
    made = translated(XLIFF, data, {found.id: both % ("Un.", "Deux.")}).decode()
    assert made == UNIT % (unit % f"<target>{both % ('Un.', 'Deux.')}</target>")


def test_what_a_unit_says_of_its_translation() -> None:
    data = (
        UNIT % '<trans-unit id="1" maxwidth="20" size-unit="char"><source>One</source><note>A  verb</note></trans-unit>'
    )
    (found,) = read(XLIFF, data)
    assert (found.most, found.context) == (20, "A verb")
    (found,) = read(XLIFF, data.replace("char", "pixel"))
    assert found.most is None
    new = (
        '<unit id="u"><notes><note>hint</note></notes><segment state="initial"><source>One</source><target>x</target>'
        "</segment></unit>"
    )
    data = f'<xliff version="2.0" srcLang="en" trgLang="fr"><file id="f">{new}</file></xliff>'
    (found,) = read(XLIFF, data)
    assert (found.context, found.state) == ("hint", State.NEW)
    made = translated(XLIFF, data, {"One": "Un"}).decode()
    assert made == data.replace('"initial"', '"translated"').replace(">x<", ">Un<")
    assert translated(XLIFF, data, {}).decode() == data


def test_words_that_are_not_to_be_translated_are_a_mark() -> None:
    data = UNIT % '<trans-unit id="1"><source>A <mrk mtype="protected">Brand</mrk> x</source></trans-unit>'
    assert [one.text for one in read(XLIFF, data)[0].marks] == ['<mrk mtype="protected">Brand</mrk>']


def test_a_message_of_icu_in_xliff() -> None:
    options = Options(source_language="en", target_language="pl")
    data = (
        UNIT.replace('"fr"', '"pl"')
        % '<trans-unit id="1"><source>{N, plural, one {a &amp;} other {# b}}</source></trans-unit>'
    )
    assert [one.id for one in read(XLIFF, data, options)] == [
        f"f/1[N={one}]" for one in ("one", "few", "many", "other")
    ]
    made = translated(XLIFF, data, {"f/1[N=one]": "& c"}, options).decode()
    assert "<target>{N, plural, one {&amp; c} few {# b} many {# b} other {# b}}</target>" in made
    data = data.replace("# b", "# <x id='i' equiv-text='{{i}}'/> b")
    assert not read(XLIFF, data, options)


def test_line_ends_are_those_of_xml() -> None:
    data = UNIT % '\r\n<trans-unit id="1"><source>One\r\ntwo</source></trans-unit>\r\n'
    assert texts(XLIFF, data) == ["One\ntwo"]
    assert b"<target>Un\r\ndeux</target>" in translated(XLIFF, data, {"One\ntwo": "Un\ndeux"})


def test_strings_of_android_with_one_name_and_of_other_kinds() -> None:
    data = (
        '<resources><string name="a" product="x">One</string><string name="a">Two</string><item type="string" name="b">Three'
        r'</item><string name="c">\ud83d\ude00 d</string><string name="e">\ud83d f</string></resources>'
    )
    assert [(one.id, one.text) for one in read(ANDROID, data)] == [
        ("a", "One"),
        ("a#2", "Two"),
        ("b", "Three"),
        ("c", "😀 d"),
    ]
