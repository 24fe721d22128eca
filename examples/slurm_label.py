"""Label structures on a SLURM cluster: workers are jobs, and any number of them share the work.

Run it on a login node, in the environment that the jobs shall have, from a folder that all nodes see:

    pip install dask-jobqueue
    python slurm_label.py structures.extxyz data.zarr --partition regular --nodes 4

Stop and start it as you like: the data set carries on where it stopped. What fails is listed and kept on
record in the data set; the next run tries it again.
"""

import argparse

import nearsight as ns


def main() -> None:
    options = parse()
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError:
        raise SystemExit("this example needs the package dask-jobqueue: pip install dask-jobqueue") from None

    cluster = SLURMCluster(
        queue=options.partition,
        account=options.account,
        walltime=options.walltime,
        job_cpu=options.cores,  # what a job asks SLURM for; each snapshot gets cores / at-once threads
        cores=options.at_once,
        processes=1,
        memory=f"{options.memory_mb}MB",
        # so that Dask begins no snapshot that does not fit: nine tenths, as the worker needs some too
        worker_extra_args=["--resources", f"MB={0.9 * options.memory_mb:.0f}"],
        scheduler_options={"dashboard_address": None},
    )
    with cluster:
        if options.show_job:
            print(cluster.job_script())
            return
        cluster.scale(jobs=options.nodes)
        result = ns.label(
            options.structures,
            options.output,
            ns.LcaoEngine(),
            scheduler=cluster.scheduler_address,
            retries=2,
            timeout=options.timeout,
        )
    print(f"{len(result.done)} labelled, {len(result.skipped)} were there, {len(result.failures)} failed")
    for failure in result.failures:
        print(f"{failure.number} {failure.label} ({failure.kind}, {failure.tries} tries): {failure.message}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("structures", help="extended XYZ file")
    parser.add_argument("output", help="data set to write or to carry on")
    parser.add_argument("--partition", help="SLURM's partition")
    parser.add_argument("--account", help="who pays")
    parser.add_argument("--nodes", type=int, default=2, help="jobs to submit")
    parser.add_argument("--cores", type=int, default=16, help="cores of a job")
    parser.add_argument("--at-once", type=int, default=4, help="snapshots side by side in a job")
    parser.add_argument("--memory-mb", type=int, default=64000, help="memory of a job")
    parser.add_argument("--walltime", default="04:00:00")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds that a snapshot may take")
    parser.add_argument("--show-job", action="store_true", help="print the job script and stop")
    return parser.parse_args()


if __name__ == "__main__":
    main()
