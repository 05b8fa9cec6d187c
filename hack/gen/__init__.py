"""Sources and parts of the generated files: see hack/gen_crds.py and hack/gen_docs.py."""
