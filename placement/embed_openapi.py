#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints a YAML file as a C file with the same as JSON."""
import json
import sys

import yaml

with open(sys.argv[1], encoding="utf-8") as file:
    text = json.dumps(yaml.safe_load(file), separators=(",", ":"))
print("/* Made of openapi.yaml. */")
print('#include "placement/openapi.h"\n')
print("const char openapi_document[] =")
for at in range(0, len(text), 80):
    print("\t" + json.dumps(text[at : at + 80]))
print("\t;")
