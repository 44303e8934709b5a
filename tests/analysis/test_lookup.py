"""tf_edd.analysis.lookup: what is asked, however it is given."""

from pathlib import Path

from tf_edd.analysis.lookup import query
from tf_edd.architectures.genotype import from_text
from tf_edd.architectures.table import NasBench201Table
from tf_edd.runtime import files
from tf_edd.spaces import nas_bench_201


def test_the_table_and_the_genotype_may_be_paths(nb201_table_path, tmp_path):
    found = query(nb201_table_path, 11)
    assert query(Path(nb201_table_path), 11) == query(NasBench201Table(nb201_table_path), 11) == found
    path = tmp_path / "genotype.json"
    files.write_json(path, from_text(found["cell"], nas_bench_201()).to_json())
    assert query(Path(nb201_table_path), path) == query(nb201_table_path, str(path)) == found
