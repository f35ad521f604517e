"""Validates the list of libraries in a file: prints what the schema of CycloneDX 1.6 refuses."""

import pathlib
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

text = pathlib.Path(sys.argv[1]).read_text()
error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
sys.exit(None if error is None else str(error))
