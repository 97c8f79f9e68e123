"""Asking AWS: what each failure means, that nothing secret is told, roles, endpoints."""

from __future__ import annotations

import os
import re

import awskit
import pytest
from awsfake import Refusal

from tfaudit.errors import ConfigError
from tfaudit.sinks import cloudwatch_logs
from tfaudit.sinks.model import Accepted, Later, Misconfigured

URL = "cloudwatch-logs:changes"
ROLE = "arn:aws:iam::210987654321:role/tfaudit/delivery"


@pytest.fixture
def logs(aws):
    """A fake with the group and the stream."""
    aws.groups["changes"].add("tfaudit")
    return aws


def told(aws, **more):
    """What becomes of one document."""
    return awskit.deliver(awskit.open_at(cloudwatch_logs, URL, aws.address, **more), awskit.document())[0]


@pytest.mark.parametrize(
    ("status", "code", "kind", "says"),
    [
        (400, "ThrottlingException", Later, "ThrottlingException"),
        (503, "ServiceUnavailableException", Later, "ServiceUnavailableException"),
        (500, "Whatever", Later, "Whatever"),
        (429, "Whatever", Later, "Whatever"),
        (400, "ExpiredTokenException", Misconfigured, "refuses the AWS credentials"),
        (400, "UnrecognizedClientException", Misconfigured, "refuses the AWS credentials"),
        (403, "InvalidSignatureException", Misconfigured, "refuses the signature"),
        (400, "AccessDeniedException", Misconfigured, "AccessDeniedException"),
        (403, "Whatever", Misconfigured, "Whatever"),
        (400, "SomethingNew", Misconfigured, "SomethingNew"),
        (400, "no code:\nBearer abc", Misconfigured, "an unknown error"),
    ],
)
def test_what_aws_answers_has_a_meaning(logs, status, code, kind, says):
    """A refusal of the whole is for later, or for whoever configures, and is told by its code."""
    logs.whole = [Refusal(status, code, "the secret is secret-of-the-test")]
    answer = told(logs)
    assert isinstance(answer, kind)
    assert says in answer.reason
    assert "secret" not in repr(answer)
    assert len(logs.requests) == 1


def test_a_token_that_is_not_there_is_no_credentials(logs, monkeypatch):
    """A web identity's token comes from a file; where that is missing, somebody has to change something."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/nonexistent/token")
    answer = told(logs)
    assert isinstance(answer, Misconfigured)
    assert answer.reason == "there are no AWS credentials for CloudWatch Logs (FileNotFoundError)"


def test_a_denial_names_the_action(logs):
    """The action that AWS names, and nothing else of its text, is in the hint; else what the sink needs."""
    text = "User: arn:aws:sts::1:x is not authorized to perform: logs:PutLogEvents on resource: secret-of-the-test"
    logs.whole = [Refusal(400, "AccessDeniedException", text), Refusal(400, "AccessDeniedException", "no")]
    assert told(logs).hint == "these credentials need logs:PutLogEvents"
    assert told(logs).hint == "these credentials need logs:PutLogEvents on the log group's streams"


def test_aws_may_ask_to_be_left_alone(logs):
    """Retry-After is passed on, within bounds; what is no number is none."""
    for header, after in (("7", 7.0), ("99999", 300.0), ("soon", None), ("-1", None), ("nan", None)):
        logs.whole = [Refusal(503, "ServiceUnavailableException", Retry_After=header)]
        assert told(logs).after == after


def test_nobody_listens(credentials):
    """A refused connection is for later."""
    sink = awskit.open_at(cloudwatch_logs, URL, "http://127.0.0.1:9")
    answer = awskit.deliver(sink, awskit.document())[0]
    assert isinstance(answer, Later)
    assert answer.reason == "CloudWatch Logs can't be reached (EndpointConnectionError)"


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_no_credentials(logs, monkeypatch, name):
    """Absent or partial credentials are told in one line, with what to do."""
    monkeypatch.delenv(name)
    answer = told(logs)
    assert isinstance(answer, Misconfigured)
    assert re.fullmatch(r"there are no AWS credentials for CloudWatch Logs \(\w+\)", answer.reason)
    assert "aws sso login" in answer.hint


def test_an_unknown_profile(logs):
    """A profile that isn't there is told like absent credentials."""
    answer = told(logs, profile="nobody")
    assert (type(answer), answer.reason) == (
        Misconfigured,
        "there are no AWS credentials for CloudWatch Logs (ProfileNotFound)",
    )


def test_no_region(logs, monkeypatch):
    """Without a region nothing is asked."""
    monkeypatch.delenv("AWS_REGION")
    answer = told(logs)
    assert isinstance(answer, Misconfigured)
    assert "AWS_REGION" in answer.hint
    assert isinstance(told(logs, region="eu-west-1"), Accepted)


def test_a_role_is_taken_once(logs, monkeypatch):
    """STS gives the role's credentials, under the sink's name, and they sign what follows."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", logs.address)
    sink = awskit.open_at(cloudwatch_logs, URL, logs.address, role=ROLE)
    for _ in range(2):
        assert isinstance(awskit.deliver(sink, awskit.document())[0], Accepted)
    assert [(name, key) for name, _, key in logs.requests] == [
        ("assume_role", "TESTKEY"),
        ("put_log_events", "ASSUMED"),
        ("put_log_events", "ASSUMED"),
    ]
    assert logs.requests[0][1] == {"RoleArn": ROLE, "RoleSessionName": "tfaudit-copy"}


def test_a_role_that_is_refused(logs, monkeypatch):
    """Whoever may not take the role is told which, and by what it would be allowed."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", logs.address)

    def denied(asked, size):
        raise Refusal(403, "AccessDenied", "User: secret-of-the-test")

    logs.assume_role = denied
    answer = told(logs, role=ROLE)
    assert answer.reason == f"{ROLE} can't be assumed: AccessDenied"
    assert "sts:AssumeRole" in answer.hint


@pytest.mark.parametrize("endpoint", ["http://logs.example.com", "ftp://127.0.0.1", "https://", "http://[::1", "x"])
def test_an_endpoint_is_safe_or_near(credentials, endpoint):
    """Documents go over TLS, or nowhere beyond this machine; the address isn't repeated."""
    with pytest.raises(ConfigError) as error:
        awskit.open_at(cloudwatch_logs, URL, endpoint)
    assert endpoint not in error.value.message.replace("the endpoint_url of", "")


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS"])
def test_the_environment_names_no_other_endpoint(credentials, monkeypatch, variable):
    """An endpoint of the AWS configuration is held to the same."""
    monkeypatch.setenv(variable, "http://logs.example.com")
    sink = cloudwatch_logs.open_sink(awskit.settings(URL), environ=os.environ)
    answer = awskit.deliver(sink, awskit.document())[0]
    assert isinstance(answer, Misconfigured)
    assert "neither https nor on this machine" in answer.reason


@pytest.mark.parametrize("role", ["delivery", "arn:aws:iam::1:role/x", "arn:aws:iam::210987654321:user/x"])
def test_a_role_is_an_arn(credentials, role):
    """What is no role's ARN is refused before anything is asked."""
    with pytest.raises(ConfigError, match="role"):
        awskit.open_at(cloudwatch_logs, URL, "http://127.0.0.1:9", role=role)


def test_no_answer_of_aws(credentials):
    """What is no AWS at all is for later, and not repeated."""
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Portal(BaseHTTPRequestHandler):
        def do_POST(self):
            self.send_response(200)
            self.send_header("Content-Length", "15")
            self.end_headers()
            self.wfile.write(b"<h1>Log in!</h1>"[:15])

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Portal) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        sink = awskit.open_at(cloudwatch_logs, URL, f"http://127.0.0.1:{server.server_address[1]}")
        answer = awskit.deliver(sink, awskit.document())[0]
    assert isinstance(answer, Later)
    assert "Log in" not in answer.reason
