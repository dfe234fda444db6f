"""Shows jobs/gateway/page/sign_in.py, sessions.py and visitors.py: who gets in, for how long, and whose forms are taken."""

from collections.abc import Callable

import pytest

from jobs.gateway.access import WRONG_A_MINUTE
from jobs.gateway.page.sessions import SESSION_AGE, Sessions
from jobs.gateway.page.visitors import COOKIE, FIELD
from jobs.submissions.keys import Keys, Quotas, Scope
from tests.support.gateway.browser import Browser, Form
from tests.support.gateway.front_desk import ALL, FrontDesk


def test_nobody_sees_a_page_without_a_key(front_desk: FrontDesk) -> None:
    browser = Browser(front_desk)
    for address in (
        "/",
        "/page",
        "/page/batches",
        "/page/upload",
        "/page/usage",
        "/page/fleet",
        "/page/batches/x/rows/0",
    ):
        page = browser.get(address)
        assert (page.status, page.address) == (200, "/page/sign-in"), address
    assert browser.get("/page/nowhere").status == 404


def test_a_wrong_key_is_told_and_a_right_one_leads_to_what_was_asked_for(front_desk: FrontDesk) -> None:
    browser = Browser(front_desk)
    _, text = front_desk.desk.keys.make("page", "shop", ALL)
    asked = browser.get("/page/usage?days=7")
    wrong = browser.submit(asked.form("/sign-in"), key=text[:-1])
    assert (wrong.status, "This key is not known" in wrong.text) == (401, True)
    assert text[:-1] not in wrong.html
    right = browser.submit(wrong.form("/sign-in"), key=f" {text}\n")
    assert (right.status, right.address) == (200, "/page/usage")
    assert "Tenant shop" in right.text


@pytest.mark.parametrize(
    "wanted",
    ["//evil.example", "https://evil.example/page/", "/page/\\evil", "/page/sign-in", "", "/v1/keys", "/page/\n"],
)
def test_the_sign_in_leads_to_no_other_place(front_desk: FrontDesk, wanted: str) -> None:
    browser = Browser(front_desk)
    _, text = front_desk.desk.keys.make("page", "shop", ALL)
    form = browser.get("/page/sign-in").form("/sign-in")
    answer = browser.http.post(form.action, data={**form.fields, "key": text, "next": wanted}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/page/batches")


def test_no_script_reads_the_cookie_and_no_other_site_sends_it(front_desk: FrontDesk) -> None:
    browser = Browser(front_desk)
    _, text = front_desk.desk.keys.make("page", "shop", ALL)
    for headers, name, secure in (({}, COOKIE, False), ({"x-forwarded-proto": "https"}, f"__Host-{COOKIE}", True)):
        shown = browser.http.get("/page/sign-in", headers=headers)
        number = shown.headers["set-cookie"].partition(";")[0]
        from tests.support.gateway.browser import Page

        form = Page(200, "", shown.text, shown.headers).form("/sign-in")
        answer = browser.http.post(
            form.action,
            data={**form.fields, "key": text},
            headers={**headers, "cookie": number},
            follow_redirects=False,
        )
        (cookie,) = [one for one in answer.headers.get_list("set-cookie") if one.startswith(f"{name}=")]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert ("Secure" in cookie) is secure
        assert "Path=/" in cookie
        assert text not in cookie


def changed(cookie: str, part: int) -> str:
    parts = cookie.split(".")
    parts[part] = ("1" if parts[part][0] != "1" else "2") + parts[part][1:]
    return ".".join(parts)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda cookie: changed(cookie, 0), id="key"),
        pytest.param(lambda cookie: changed(cookie, 1), id="end"),
        pytest.param(lambda cookie: changed(cookie, 2), id="number"),
        pytest.param(lambda cookie: changed(cookie, 3), id="signature"),
        pytest.param(lambda cookie: cookie[:-1], id="short"),
        pytest.param(lambda cookie: cookie + ".", id="long"),
        pytest.param(lambda cookie: "", id="empty"),
    ],
)
def test_a_cookie_that_was_changed_is_none(front_desk: FrontDesk, change: Callable[[str], str]) -> None:
    sessions = Sessions(front_desk.desk.keys, front_desk.desk.clock)
    key, _ = front_desk.desk.keys.make("page", "shop", ALL)
    cookie = sessions.cookie_of(sessions.begin(key))
    assert sessions.of(cookie) is not None
    assert sessions.of(change(cookie)) is None


def test_a_cookie_of_another_secret_is_none(front_desk: FrontDesk) -> None:
    keys = front_desk.desk.keys
    key, _ = keys.make("page", "shop", ALL)
    others = Sessions(Keys(keys.store, b"x" * 32, keys.clock), keys.clock)
    assert Sessions(keys, keys.clock).of(others.cookie_of(others.begin(key))) is None


def test_a_session_ends_by_time_and_with_its_key(front_desk: FrontDesk, browser: Browser) -> None:
    assert browser.get("/page/batches").address == "/page/batches"
    front_desk.shelf.pass_s(SESSION_AGE.total_seconds())
    assert browser.get("/page/batches").address == "/page/sign-in"
    other = Browser(front_desk).signed_in()
    front_desk.desk.keys.revoke(other.key_id)
    assert other.get("/page/batches").address == "/page/sign-in"


def test_signing_out_ends_the_session_in_this_browser(browser: Browser) -> None:
    page = browser.submit(browser.get("/page/batches").form("/sign-out"))
    assert page.address == "/page/sign-in"
    assert browser.get("/page/batches").address == "/page/sign-in"


def forms_of(front_desk: FrontDesk) -> list[str]:
    """The addresses of all forms that change something."""
    submission, _ = front_desk.admitted()
    file_id = front_desk.upload()
    batch = f"/page/batches/{submission}"
    return ["/page/sign-out", f"{batch}/cancel", f"{batch}/retry", "/page/upload", f"/page/upload/{file_id}"]


def test_a_form_without_the_token_of_its_session_changes_nothing(front_desk: FrontDesk, browser: Browser) -> None:
    other = Browser(front_desk).signed_in()
    stolen = other.get("/page/batches").form("/sign-out").fields[FIELD]
    before = front_desk.client.batches()
    for address in forms_of(front_desk):
        for token in ("", stolen, stolen[:-1]):
            page = browser.submit(Form(address, "post", {FIELD: token, "kind": "openai"}))
            assert page.status == 403, (address, page.text)
            assert "not of this session" in page.text
    assert len(front_desk.client.batches()) == len(before) + 1
    assert browser.get("/page/batches").address == "/page/batches"  # still signed in


def test_the_sign_in_form_needs_its_token_too(front_desk: FrontDesk) -> None:
    _, text = front_desk.desk.keys.make("page", "shop", ALL)
    for fields in ({"key": text}, {"key": text, FIELD: "0" * 64}):
        page = Browser(front_desk).submit(Form("/page/sign-in", "post", fields))
        assert page.status == 403
    form = Browser(front_desk).get("/page/sign-in").form("/sign-in")  # the token of another browser
    assert Browser(front_desk).submit(form, key=text).status == 403


@pytest.mark.parametrize(
    ("headers", "is_taken"),
    [
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "null"}, False),
        ({"sec-fetch-site": "same-origin", "origin": "http://testserver"}, True),
        ({"origin": "http://testserver"}, True),
        ({}, True),
    ],
)
def test_a_form_of_another_site_is_refused(browser: Browser, headers: dict[str, str], is_taken: bool) -> None:
    form = browser.get("/page/batches").form("/sign-out")
    answer = browser.http.post(form.action, data=form.fields, headers=headers, follow_redirects=False)
    assert answer.status_code == (303 if is_taken else 403)


def test_who_comes_by_a_link_of_another_site_comes_again(front_desk: FrontDesk) -> None:
    page = Browser(front_desk).get("/page/usage?days=7", sec_fetch_site="cross-site")
    assert page.status == 200
    assert ("meta", {"http-equiv": "refresh", "content": "0;url=/page/usage?days=7"}) in page.elements


def test_live_numbers_lead_to_the_sign_in_when_the_session_has_ended(front_desk: FrontDesk) -> None:
    answer = Browser(front_desk).http.get("/page/batches/x/numbers", headers={"hx-request": "true"})
    assert (answer.status_code, answer.headers["hx-redirect"], answer.text) == (401, "/page/sign-in", "")


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        (("read",), {"batches", "rows", "download", "usage", "fleet"}),
        (("submit",), {"upload", "retry", "submit"}),
        (("cancel",), {"cancel"}),
        (("admin",), set()),
    ],
)
def test_the_scopes_of_the_key_count(front_desk: FrontDesk, scopes: tuple[Scope, ...], allowed: set[str]) -> None:
    submission, _ = front_desk.published(failed=[1])
    running, _ = front_desk.admitted()
    file_id = front_desk.upload()
    browser = Browser(front_desk)
    browser_key, text = front_desk.desk.keys.make("page", "shop", scopes)
    form = browser.get("/page/sign-in").form("/sign-in")
    browser.http.post(form.action, data={**form.fields, "key": text}, follow_redirects=False)
    sessions = Sessions(front_desk.desk.keys, front_desk.desk.clock)
    session = sessions.of(browser.http.cookies[COOKIE])
    assert session is not None
    assert session.key.id == browser_key.id
    batch, token = f"/page/batches/{submission}", {FIELD: sessions.token(session.number)}
    tried = {
        "batches": browser.get("/page/batches"),
        "rows": browser.get(f"{batch}/rows"),
        "download": browser.get(f"{batch}/download"),
        "usage": browser.get("/page/usage"),
        "fleet": browser.get("/page/fleet"),
        "upload": browser.get("/page/upload"),
        "retry": browser.submit(Form(f"{batch}/retry", "post", token)),
        "submit": browser.submit(Form(f"/page/upload/{file_id}", "post", {**token, "window": "24h"})),
        "cancel": browser.submit(Form(f"/page/batches/{running}/cancel", "post", token)),
    }
    # what is done leads to a page that needs the scope read
    refused = {name for name, page in tried.items() if page.status == 403 and "its scopes are" in page.text}
    done = {"retry", "submit", "cancel"} & allowed
    assert refused - done == set(tried) - allowed
    changes = {
        "retry": front_desk.batch(submission)["status"] == "in_progress",
        "submit": len(front_desk.http.get("/v1/batches").json()["data"]) == 3,
        "cancel": front_desk.batch(running)["status"] == "cancelling",
    }
    assert {name for name, is_done in changes.items() if is_done} == done


def test_what_is_another_tenants_is_not_there(front_desk: FrontDesk) -> None:
    submission, batch_id = front_desk.published()
    by_hand = front_desk.client.enqueue([{"kind": "chat", "prompt": "a"}], model="stub", tenant="shop", name="hand").id
    file_id = front_desk.upload()
    other = Browser(front_desk).signed_in("bakery")
    for known in (submission, batch_id, by_hand, "batch_" + "0" * 32, "nothing", "..%2f..%2fkeys", "%00"):
        for rest in ("", "/numbers", "/rows", "/rows/0", "/download"):
            assert other.get(f"/page/batches/{known}{rest}").status == 404, (known, rest)
        for change in ("cancel", "retry"):
            form = Form(f"/page/batches/{known}/{change}", "post", other.get("/page/usage").form("/sign-out").fields)
            assert other.submit(form).status in (404, 405), (known, change)
    assert other.get(f"/page/upload/{file_id}").status == 404
    listed = other.get("/page/batches")
    assert "There are no batches yet" in listed.text
    assert "shop" not in listed.html


def test_wrong_keys_are_counted(front_desk: FrontDesk) -> None:
    browser = Browser(front_desk)
    form = browser.get("/page/sign-in").form("/sign-in")
    for _ in range(WRONG_A_MINUTE):
        answer = browser.http.post(form.action, data={**form.fields, "key": "np_wrong"})
        form.fields[FIELD] = Browser.token_in(answer.text)
    page = browser.submit(form, key="np_wrong")
    assert (page.status, "retry-after" in page.headers) == (429, True)


def test_the_pace_of_the_key_counts_but_not_for_live_numbers(front_desk: FrontDesk) -> None:
    browser = Browser(front_desk).signed_in(quotas=Quotas(requests_a_minute=3))
    for _ in range(10):
        assert browser.get("/page/batches", hx_request="true").status == 200
    statuses = [browser.get("/page/batches").status for _ in range(4)]
    assert statuses[0] == 200
    assert statuses[-1] == 429
