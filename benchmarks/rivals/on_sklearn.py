"""scikit-learn: MiniBatchKMeans over unit vectors, as it comes. Its distance is told for centroids of length 1."""

import argparse
import json
import time

import numpy as np
import sklearn
from sklearn.cluster import MiniBatchKMeans

AT_A_TIME = 1 << 14


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("vectors")
    arguments.add_argument("--dimensions", type=int)
    arguments.add_argument("--clusters", type=int)
    given = arguments.parse_args()
    vectors = np.fromfile(given.vectors, np.float16).reshape(-1, given.dimensions).astype(np.float32)
    started = time.perf_counter()
    made = MiniBatchKMeans(given.clusters, random_state=0).fit(vectors)
    seconds = time.perf_counter() - started
    centroids = made.cluster_centers_ / np.linalg.norm(made.cluster_centers_, axis=1, keepdims=True)
    blocks = (vectors[start : start + AT_A_TIME] for start in range(0, len(vectors), AT_A_TIME))
    distance = 1 - sum(float((block @ centroids.T).max(axis=1).sum()) for block in blocks) / len(vectors)
    report = {"seconds": seconds, "distance": distance, "steps": made.n_steps_, "version": sklearn.__version__}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
