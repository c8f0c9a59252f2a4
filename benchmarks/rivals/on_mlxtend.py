"""mlxtend: rules of one tag to one tag by FP-Growth, over a sparse table of queries by tags."""

import argparse
import json
import time

import numpy as np
import pandas as pd
from mlxtend.frequent_patterns import association_rules, fpgrowth
from scipy.sparse import csr_matrix


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("starts")
    arguments.add_argument("tags")
    given = arguments.parse_args()
    starts, tags = np.load(given.starts), np.load(given.tags)
    started = time.perf_counter()
    queries = csr_matrix((np.ones(len(tags), bool), tags, starts))
    table = pd.DataFrame.sparse.from_spmatrix(queries)
    itemsets = fpgrowth(table, min_support=40 / len(table), max_len=2)
    rules = association_rules(itemsets, metric="confidence", min_threshold=0.99)
    print(json.dumps({"rules": len(rules), "seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    main()
