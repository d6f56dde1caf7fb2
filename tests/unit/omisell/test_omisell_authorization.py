"""Whether a push comes from Omisell."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omisync.omisell import Authorizer, sign

URL = "https://shop.example/hook"
BODY = b'{"event": "order.shipped"}'
SECRET = "s3cret"


def _hex(signed: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def test_each_recipe_is_what_the_documents_say() -> None:
    assert sign("token", SECRET, BODY) == SECRET
    assert sign("hmac-url-body", SECRET, BODY, URL) == _hex(URL.encode() + b"|" + BODY)
    assert sign("hmac-body", SECRET, BODY) == _hex(BODY)
    assert sign("none", SECRET, BODY) == ""


@pytest.mark.parametrize("form", ["token", "hmac-url-body", "hmac-body"])
def test_auto_takes_every_form_and_says_which(form: str) -> None:
    header = sign(form, SECRET, BODY, URL)
    auto = Authorizer("auto", [SECRET], URL)
    assert auto.check(header, BODY) == form
    assert auto.check(f"  Bearer   {header} ", BODY) == form
    assert Authorizer(form, [SECRET], URL).check(header, BODY) == form


def test_base64_is_taken_for_a_signature_of_the_body() -> None:
    signed = base64.b64encode(hmac.new(SECRET.encode(), BODY, hashlib.sha256).digest()).decode()
    assert Authorizer("hmac-body", [SECRET]).check(signed, BODY) == "hmac-body"


@pytest.mark.parametrize("header", [None, "", " ", "Bearer", "wrong", SECRET.upper(), _hex(BODY).upper(), "\udcff"])
def test_what_proves_nothing_is_refused(header: str | None) -> None:
    assert Authorizer("auto", [SECRET], URL).check(header, BODY) is None


def test_a_signature_of_another_body_or_url_or_form_is_refused() -> None:
    auto = Authorizer("auto", [SECRET], URL)
    assert auto.check(sign("hmac-body", SECRET, b"{}"), BODY) is None
    assert auto.check(sign("hmac-url-body", SECRET, BODY, URL + "/"), BODY) is None
    assert Authorizer("hmac-body", [SECRET]).check(SECRET, BODY) is None
    assert Authorizer("auto", [SECRET]).check(sign("hmac-url-body", SECRET, BODY, URL), BODY) is None


def test_while_rotating_either_secret_is_taken() -> None:
    auto = Authorizer("auto", ["old", "new"])
    assert [auto.check(secret, BODY) for secret in ("old", "new", "other")] == ["token", "token", None]


def test_none_checks_nothing() -> None:
    assert Authorizer("none", []).check(None, BODY) == "none"


@pytest.mark.parametrize(
    ("form", "secrets", "why"),
    [
        ("hmac", [SECRET], "use one of auto, token"),
        ("auto", [], "secret is empty"),
        ("token", [SECRET, " "], "secret is empty"),
        ("hmac-url-body", [SECRET], "callback_url is missing"),
    ],
)
def test_a_setting_that_cannot_work_is_refused(form: str, secrets: list[str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Authorizer(form, secrets)


def test_what_cannot_be_sent_is_not_signed() -> None:
    with pytest.raises(ValueError, match="no such form"):
        sign("auto", SECRET, BODY)
    with pytest.raises(ValueError, match="callback URL"):
        sign("hmac-url-body", SECRET, BODY)


def test_no_secret_is_in_its_repr() -> None:
    assert repr(Authorizer("auto", [SECRET])) == "Authorizer(forms=('token', 'hmac-body'), secrets=1)"


@given(st.text(), st.binary())
def test_no_guess_gets_in(header: str, raw: bytes) -> None:
    if SECRET not in header:
        assert Authorizer("auto", [SECRET], URL).check(header, raw) is None
