"""Lets papermill give parameters to Rekindle's notebooks, whose cells are Go.

    papermill notebooks/unet/gaussian/unet_gaussian_bilinear.ipynb out.ipynb -p num_epochs 20

They become REKINDLE_CONFIG in a cell of their own, which section 2 of the notebook
reads: a key that does not exist ends the run with a sentence that names the nearest.

papermill imports this module through the entry point of an engine, because it has
none for translators. "make jupyter" installs it beside its papermill; for another
papermill: pip install ./pkg/setup/papermill
"""
import json
import os
import sys

from papermill.engines import NBClientEngine as engine  # what the entry point names: papermill's own  # noqa: F401
from papermill.exceptions import PapermillException
from papermill.translators import Translator, papermill_translators

VARIABLE = "REKINDLE_CONFIG"


class GoTranslator(Translator):
    """Parameters as a line that GoNB runs."""

    @classmethod
    def codify(cls, parameters, comment="Parameters"):
        notebook = _notebook()
        if notebook is not None and not any("notebook.Configure(" in cell.source for cell in notebook.cells):
            raise PapermillException(f"this notebook has no settings that could take {', '.join(parameters)}; its cells say what to edit")
        try:
            keys = json.loads(os.environ.get(VARIABLE) or "{}")
            keys.update(parameters)
        except (ValueError, AttributeError, TypeError) as error:
            raise PapermillException(f"{VARIABLE} is set and is no JSON object ({error}); unset it or mend it") from error
        # Within quotes GoNB knows two escapes, and is told non-ASCII by number.
        text = json.dumps(keys).replace("\\", "\\\\").replace('"', '\\"')
        return f'%env {VARIABLE} "{text}"\n'

    @classmethod
    def inspect(cls, parameters_cell):
        return []  # docs/settings.md has them


def _notebook():
    """The notebook that is about to get parameters; papermill does not hand it over."""
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "parameterize_notebook":
            return frame.f_locals.get("nb")
        frame = frame.f_back
    return None


papermill_translators.register("gonb", GoTranslator)
