"""Repositories of the Hugging Face hub: asked for once, since its client and what is built on it retry for minutes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from synth.schemas.phrases import first_line
from synth.schemas.quiet import quiet_libraries

__all__ = ["HubUnreachable", "NotOnTheHub", "commit_of", "without_network"]

SECONDS = 10.0


class NotOnTheHub(Exception):
    """The hub does not give a repository; the message is a clause that says why."""


class HubUnreachable(NotOnTheHub):
    """The hub does not answer, so it may have the repository."""


def commit_of(name: str, kind: Literal["model", "dataset"], revision: str | None = None) -> str | None:
    """The commit of a repository. Raises `NotOnTheHub`; takes at most some 10 seconds."""
    quiet_libraries()
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        found = HfApi().repo_info(name, repo_type=kind, revision=revision, timeout=SECONDS)
    except HFValidationError as error:
        raise NotOnTheHub("this cannot be a name on the hub") from error
    except GatedRepoError as error:
        raise NotOnTheHub("the hub asks to accept its conditions first, and for a token in HF_TOKEN") from error
    except RevisionNotFoundError as error:
        raise NotOnTheHub(f"the hub has no revision {revision} of it") from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        # A mirror may answer 404 without the hub's own code of errors.
        if isinstance(error, RepositoryNotFoundError) or status == 404:
            unknown = f"the hub has no {kind} of this name, or it is private and needs HF_TOKEN"
            raise NotOnTheHub(unknown) from error
        raise HubUnreachable(f"the hub answers with status {status}") from error
    except OfflineModeIsEnabled as error:
        raise HubUnreachable("the hub is not asked, because HF_HUB_OFFLINE is set") from error
    # They come from whichever HTTP library the client uses, and share no base class.
    except Exception as error:
        raise HubUnreachable(f"the hub cannot be reached ({first_line(error)})") from error
    commit: str | None = found.sha
    return commit


@contextmanager
def without_network() -> Iterator[None]:
    """Within the block, `datasets` and the hub's client use only what they have on disk, and do not retry."""
    import datasets
    from huggingface_hub import constants

    before = datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE = before
