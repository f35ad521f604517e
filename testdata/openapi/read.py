"""Prints an OpenAPI document as JSON, if it is valid and each of its examples fits its schema."""

import json
import sys

import yaml
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate


def examples(node, place="#"):
    """Every example with its schema, and where it is."""
    if isinstance(node, list):
        for number, item in enumerate(node):
            yield from examples(item, f"{place}/{number}")
    elif isinstance(node, dict):
        if isinstance(node.get("schema"), dict):
            for name, example in node.get("examples", {}).items():
                yield f"{place} {name}", node["schema"], example["value"]
            if "example" in node:
                yield place, node["schema"], node["example"]
        for name, item in node.items():
            yield from examples(item, f"{place}/{name}")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        document = yaml.safe_load(file)
    validate(document)
    # What schemas refer to.
    shared = {"components": document["components"]}
    mistakes = [
        f"{place}: {error.message}"
        for place, schema, example in examples(document)
        for error in OAS31Validator(schema | shared).iter_errors(example)
    ]
    if mistakes:
        sys.exit("\n".join(mistakes))
    json.dump(document, sys.stdout)


main()
