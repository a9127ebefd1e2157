"""The token of a GitHub App for one repository: by the App's private key, for at most an hour.

https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ci_gitops import masking
from ci_gitops.adapters.forges.base import Site
from ci_gitops.adapters.forges.github_api import AnswerError, DeniedError, GitHubApi, api_address
from ci_gitops.adapters.forges.transport import line_to
from ci_gitops.core.git_urls import GitUrl
from ci_gitops.errors import ForgeError, RefusedError, UsageError

APP, KEY = "CI_GITOPS_GITHUB_APP_ID", "CI_GITOPS_GITHUB_APP_KEY"


@dataclass(frozen=True, slots=True)
class App:
    identity: str  # its id, or its client id
    key: str = field(repr=False)  # PEM

    def token(self, repository: GitUrl, environ: Mapping[str, str], ca_file: Path | None) -> str:
        """A token for this one repository, with what the App may do there."""
        name = repository.path.strip("/").removesuffix(".git")
        api = self._api(self._site(repository, name, environ, ca_file))
        try:
            installation = api.get(f"/repos/{name}/installation")["id"]
            answer = api.sent(
                "POST", f"/app/installations/{installation}/access_tokens", {"repositories": [name.split("/")[-1]]}
            )
        except DeniedError as error:
            hint = f"Is {KEY} the private key of the App that {APP} names, and is this machine's clock right?"
            raise RefusedError(error.message, hint=hint) from error
        except AnswerError as error:
            hint = f"Install the App on {name}: Settings > GitHub Apps > Configure > Repository access."
            raise RefusedError(
                f"The GitHub App {self.identity} is not on {name}: {error.message}", hint=hint
            ) from error
        token = answer.get("token")
        if not isinstance(token, str) or not token:
            raise ForgeError(f"{api.line.name} gave the App {self.identity} no token for {name}.")
        masking.register(token)
        return token

    def _site(self, repository: GitUrl, name: str, environ: Mapping[str, str], ca_file: Path | None) -> Site:
        host = f"https://{repository.host}" if repository.scheme == "ssh" else (
            f"{repository.scheme}://{repository.authority}"
        )  # fmt: skip
        server = environ.get("CI_GITOPS_FORGE_URL") or host
        return Site(server.rstrip("/"), name, source=KEY, ca_file=ca_file, environ=environ)

    def _api(self, site: Site) -> GitHubApi:
        from github.Auth import AppAuth, AppAuthToken

        try:
            proof = AppAuth(self.identity, self.key).create_jwt()
        except Exception as error:  # PyJWT's and cryptography's own: whatever it is, the key is not one
            hint = "Take the .pem file that GitHub made for the App: its text, or its path."
            raise UsageError(f"{KEY} holds no private key of RSA.", hint=hint) from error
        masking.register(proof)
        return GitHubApi(line_to(site, "GitHub", api_address(site.server)), AppAuthToken(proof), KEY)


def app_of(environ: Mapping[str, str], key: str | None) -> App | None:
    """The App that the environment names; `key` is the text of its key."""
    if not environ.get(APP) and not key:
        return None
    if not environ.get(APP) or not key:
        missing = KEY if environ.get(APP) else APP
        raise UsageError(f"{missing} is missing.", hint=f"A GitHub App needs both: {APP} and {KEY}.")
    masking.register(key)
    return App(environ[APP].strip(), key)
