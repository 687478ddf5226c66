"""The executable edition's command line: run rows, recompute tables, see whether numbers still
hold.

    python -m posebook list 3.1                        what there is
    python -m posebook run table-3.1/trans-reproj      train and measure one row
    python -m posebook results table-3.1               all runs behind a table, with Snakemake
    python -m posebook confirm                         do the published numbers still hold?
    python -m posebook check human36m                  is an official data set complete?
    python -m posebook bench                           how fast is all this, here?
    python -m posebook motion FILE.bvh --out FILE.npz  motion of your own, to retrain on
    python -m posebook rig FOLDER                      your own cameras: health, training, files
    python -m posebook lift VIDEO                      your own video: people in space, drawn, filed
    python -m posebook export trans-reproj net.onnx    a trained network for other programs
"""

import argparse
import os
import sys
from dataclasses import fields
from pathlib import Path

from posebook.results.records import PROFILES
from posebook.storage import refuse_unwritable, whole
from posebook.training.stopping import Stopped

CARD_OPTIONS = {
    "bf16": "networks in bfloat16; geometry, losses and the recursion of chapter 2 in float32",
    "channels-last": "chapter 2: kernels with their channels last in memory",
    "compile": "networks compiled, and recorded as CUDA graphs",
    "deterministic": "the same bits every time, at a price",
}
PROFILE_HELP = "how large: smoke (seconds), laptop (published), night, gpu, paper"
PEOPLE_HELP = "for the detector: how many to look for in a picture (default: 1)"


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status. What is refused is said in one sentence."""
    wanted = _parser().parse_args(arguments)
    try:
        return wanted.command(wanted) or 0
    except BrokenPipeError:  # whoever was reading, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError, RuntimeError, ArithmeticError, ModuleNotFoundError) as problem:
        said = str(problem).rstrip(".")
        if isinstance(problem, PermissionError) and problem.filename:  # the system's own words
            said = f"you may not read or write {problem.filename}; change its rights, or take a "
            said += "copy or a folder of your own"
        print(f"Cannot {wanted.doing}: {said}{'' if said.endswith('?') else '.'}", file=sys.stderr)
        return 2
    except Stopped as stopped:
        print(f"Stopped: {stopped}.", file=sys.stderr)
        return stopped.status
    except KeyboardInterrupt:
        goes_on = wanted.command in (_run, _results)
        print(f"Stopped{'; the same command goes on where it was' * goes_on}.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m posebook", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, function, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=function.__doc__)
        command.set_defaults(command=function, doing={"results": "compute results"}.get(name, name))
        return command

    def add_names(command: argparse.ArgumentParser) -> None:
        text = "a table, a figure, an experiment or a row (default: all), such as 3.1 or table-3.1"
        command.add_argument("names", nargs="*", metavar="NAME", help=text)

    def add_profile(command: argparse.ArgumentParser, default: str = "laptop") -> None:
        command.add_argument("--profile", choices=PROFILES, default=default, help=PROFILE_HELP)

    def add_motion(command: argparse.ArgumentParser) -> None:
        text = "train on this motion, in the place of the embedded one (chapters 3 and 4)"
        command.add_argument("--motion", type=Path, metavar="FILE.npz", help=text)

    command = add("list", _list, "the rows of tables and figures, and how often they are run")
    add_names(command)
    add_profile(command)

    command = add("run", _run, "train and measure one row")
    command.add_argument("row", help='"experiment/variant", such as table-3.1/trans-reproj')
    add_profile(command)
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--dataset", default="", help="default: the embedded data")
    command.add_argument("--device", default="", help="default: the card if there is one, else cpu")
    command.add_argument("--out", type=Path, help="folder for the result; default: book/results")
    add_motion(command)
    group = command.add_argument_group("training on a card", "with any of them, --out is needed")
    for name, text in CARD_OPTIONS.items():
        group.add_argument(f"--{name}", action="store_true", help=text)

    command = add("results", _results, "compute the published numbers of tables, figures or rows")
    add_names(command)
    add_profile(command)
    command.add_argument("--dataset", default="", help="default: the embedded data")
    command.add_argument("--seeds", type=int, default=5, help="runs of each row (default: 5)")
    command.add_argument("--jobs", type=int, default=2, help="runs side by side (default: 2)")
    command.add_argument("--again", action="store_true", help="also what is finished")
    text = "a Snakemake profile, to run on a cluster: profiles/slurm or profiles/kubernetes"
    command.add_argument("--cluster", type=Path, metavar="FOLDER", help=text)
    add_motion(command)

    command = add("draw", _draw, "file what pages draw from trained rows, or time the networks")
    command.add_argument("what", help="such as conditions or runtime; a wrong name lists them all")
    add_profile(command)
    command.add_argument("--out", type=Path, help="folder for the results; default: book/results")
    command.add_argument("--size", help="of runtime's networks: thesis (default), laptop or smoke")
    command.add_argument("--rounds", type=int, help="of runtime (default: 5)")
    command.add_argument("--device", help="of runtime (default: cpu)")
    command.add_argument("--wheel", help="of away-from-home: the package, not to fetch it")

    command = add("confirm", _confirm, "repeat the first steps of published rows with today's code")
    add_names(command)
    add_profile(command)
    command.add_argument("--jobs", type=int, default=2, help="processes side by side (default: 2)")
    text = "write the traces of new records instead, with the code that has just made them"
    command.add_argument("--trace", action="store_true", help=text)

    command = add("bench", _bench, "time this code beside plain forms of it, on this machine")
    command.add_argument("--size", choices=("smoke", "laptop"), default="laptop")
    command.add_argument("--rounds", type=int, default=7, help="all is timed so often (default: 7)")
    command.add_argument("--json", type=Path, help="write the numbers into this file")

    command = add("check", _check, "say what is in a folder of an official data set")
    command.add_argument("dataset", help="human36m, mpi-inf-3dhp, jhmdb, penn-action or mpii")
    command.add_argument("folder", type=Path, nargs="?", help="default: where the book looks")
    command.add_argument("--sheet", type=Path, help="write samples to look at into this PNG file")

    command = add("motion", _motion, "BVH, AMC and C3D files as motion to train on")
    command.add_argument("files", nargs="+", type=Path, metavar="FILE", help=".bvh, .amc or .c3d")
    command.add_argument("--out", type=Path, required=True, help="an .npz, for --motion of `run`")
    command.add_argument("--map", type=Path, help="JSON: which of a file's names are the joints")
    command.add_argument("--unit", default="", help="of the files: m, cm, mm, inch or inch/0.45")
    command.add_argument("--up", default="", help="which axis is up: x, y, z, -x, -y or -z")
    command.add_argument("--fps", type=float, default=0.0, help="where the files' own is wrong")

    command = add("rig", _rig, "your own cameras: their health, bodies in space without a label")
    command.add_argument("folder", type=Path, help="a calibration, and detections or videos")
    command.add_argument("--steps", type=int, default=2000, help="of training (default: 2000)")
    command.add_argument("--out", type=Path, help="default: posebook in the folder")
    text = "frames a second (default: the videos', or 30)"
    command.add_argument("--fps", type=float, default=0.0, help=text)
    command.add_argument("--unit", default="", help="of the calibration: m, cm, mm, in or ft")
    command.add_argument("--joints", default="", help="the detector's joint set, such as coco17")
    command.add_argument("--person", type=int, default=1, help="1: whoever is seen most (default)")
    command.add_argument("--people", type=int, default=1, help=PEOPLE_HELP)
    command.add_argument("--cut", action="store_true", help="cut all cameras to the shortest")
    command.add_argument("--trust", action="append", default=[], help="a doubt that is none")
    text = "to begin with: consensus-augmented-flip-points (default), trans-reproj, a safetensors "
    text += "file, or none"
    command.add_argument("--weights", default="consensus-augmented-flip-points", help=text)
    text = "extrinsics by bundle adjustment on the person's joints"
    command.add_argument("--refine", action="store_true", help=text)
    text = "of the photographs in boards/: inner corners across x down x mm, such as 9x6x60"
    command.add_argument("--board", default="", help=text)
    text = "of the person in metres, where there are no extrinsics (default: 1.7)"
    command.add_argument("--height", type=float, default=1.7, help=text)
    text = "write the embedded recording there first, as an example of such a folder"
    command.add_argument("--example", action="store_true", help=text)
    _add_lift(add)
    return parser


def _add_lift(add) -> None:
    command = add("lift", _lift, "your own video: people followed, lifted to space, drawn")
    command.add_argument("video", type=Path, help="any file that OpenCV reads")
    text = "a folder or a file of a detector's joints; default: MediaPipe, where it is installed"
    command.add_argument("--detections", type=Path, help=text)
    text = "for the detector: a CSV file, frame, person, x1, y1, x2, y2; default: the whole picture"
    command.add_argument("--boxes", type=Path, help=text)
    command.add_argument("--people", type=int, default=1, help=PEOPLE_HELP)
    text = "this one alone; 1 is whoever is seen most (default: 0, everybody)"
    command.add_argument("--person", type=int, default=0, help=text)
    command.add_argument("--out", type=Path, help="default: VIDEO_posebook beside the video")
    command.add_argument("--calibration", type=Path, help="of a camera named as the video is")
    text = "pixels (default: the longer side of the picture)"
    command.add_argument("--focal", type=float, default=0.0, help=text)
    command.add_argument("--fps", type=float, default=0.0, help="default: as the video says")
    command.add_argument("--joints", default="", help="the detector's joint set, such as coco17")
    text = "that lifts: consensus-augmented-flip-points (default), consensus-augmented-flip, ..."
    command.add_argument("--network", default="consensus-augmented-flip-points", help=text)
    text = "arms and legs by the network of chapter 2, which has seen rendered people alone"
    command.add_argument("--temporal", choices=("window", "stream"), default="", help=text)
    text = "milliseconds over which bodies are smoothed; 0: not at all (default: 33)"
    command.add_argument("--smooth", type=float, default=33.0, help=text)
    text = "of the film: the video with blurred heads (default), the video as it is, or white"
    choices = ("blurred", "sharp", "white")
    command.add_argument("--background", choices=choices, default="blurred", help=text)

    command = add("export", _export, "a trained network that travels with the package, as ONNX")
    command.add_argument("name", help="trans-reproj, consensus-augmented-flip, baseline-cf, ...")
    command.add_argument("file", type=Path, help="ends with .onnx")


def _full_names(names: list[str]) -> list[str]:
    """ "3.1" is Table 3.1 and Figure 3.1, whichever there is."""
    from posebook.experiments import catalogue

    known = {row.experiment for row in catalogue.rows().values()}
    known |= {*catalogue.ALSO_SHOWN, *catalogue.DRAWN, *catalogue.drawn_experiments()}
    found = []
    for name in names:
        full = [f"{kind}-{name}" for kind in ("table", "figure") if f"{kind}-{name}" in known]
        found += full if name not in known and full else [name]
    return found


def _list(wanted) -> None:
    """Rows, whether their results are there, and what is known of them."""
    from posebook.experiments import catalogue
    from posebook.results import read_rows

    chosen, drawn = catalogue.select(_full_names(wanted.names))
    runs = read_rows(wanted.profile, chosen)
    for name, row in chosen.items():
        states = runs[runs["variant"] == name]["state"].tolist()
        seeds = "every seed" if row.seeds is None else f"seeds: {row.seeds}"
        there = f"runs: {len(states)}" + (", moved: run again" if "moved" in states else "")
        print(f"{name:58} {seeds:12} {there if states else 'not run'}")
    for name in drawn:
        print(f"{name:58} {'drawn':12} python -m posebook draw {name}")


def _run(wanted) -> None:
    """Train and measure one row of the catalogue, and file its result. A killed run goes on.

    `torchrun --nproc-per-node 3 -m posebook run ...` trains a row of chapter 2 on three cards.
    """
    import torch

    from posebook import results
    from posebook.experiments.catalogue import find
    from posebook.experiments.run import run
    from posebook.training import card, processes

    _use_motion(wanted)
    out = wanted.out or results.results_folder()
    names = [field.name for field in fields(card.Options)]
    options = card.Options(**{name: getattr(wanted, name) for name in names})
    if options.on and out.resolve() == results.results_folder().resolve():
        raise ValueError(
            f"a run with {', '.join(options.on)} is none of the published ones, and its result "
            "does not go among theirs: give a folder of your own with --out"
        )
    find(wanted.row)  # before a folder is made for it
    refuse_unwritable(out, "choose another with --out")
    with processes.joined(wanted.device) as device:
        if device == "cpu":
            torch.set_num_threads(2 if wanted.row.startswith("base-network/") else 1)
        _, record = run(
            wanted.row, wanted.profile, wanted.seed, dataset=wanted.dataset, device=device,
            keep=True, options=options,
        )  # fmt: skip
        if processes.rank() == 0:
            path = results.write_result(out, record)
            print(results.told(record["metrics"]))
            print("written:", path)


def _use_motion(wanted) -> None:
    """Let this process and those that it starts train on the reader's motion."""
    from posebook.data import sources
    from posebook.experiments import catalogue

    if wanted.motion is None:
        return
    if wanted.dataset not in ("", sources.OWN_VIEWS):
        raise ValueError(f"--motion and --dataset {wanted.dataset} exclude each other")
    if (row := catalogue.rows().get(getattr(wanted, "row", ""))) and row.chapter == "video":
        raise ValueError(f"--motion is for chapters 3 and 4, and {row.name} is a row of chapter 2")
    os.environ[sources.OWN_MOTION] = str(wanted.motion.absolute())
    sources.own_motion()  # a missing file is refused before names are looked up
    wanted.dataset = sources.OWN_VIEWS


def _results(wanted) -> int:
    """Walk the graph of runs behind tables, figures or rows; finished ones are not repeated.

    Finished is what this command has run. What `run` has trained goes on at its checkpoint.
    """
    from posebook.experiments.graph import walk
    from posebook.paths import results_folder

    _use_motion(wanted)
    status = walk(
        _full_names(wanted.names), wanted.profile, wanted.seeds, wanted.jobs, wanted.dataset,
        again=wanted.again, cluster=wanted.cluster,
    )  # fmt: skip
    if not status:
        print(f"The results lie in {results_folder()}.")
    return status


def _draw(wanted) -> None:
    """File what pages draw and count from what trained rows left under runs/."""
    from posebook import results
    from posebook.experiments.drawn import OPTIONS, draw

    out = wanted.out or results.results_folder()
    refuse_unwritable(out, "choose another with --out")
    options = {name: getattr(wanted, name) for name in sum(OPTIONS.values(), ())}
    given = {name: value for name, value in options.items() if value is not None}
    for owner, names in OPTIONS.items():
        if (foreign := [name for name in given if name in names]) and wanted.what != owner:
            raise ValueError(f"--{', --'.join(foreign)} belong to {owner}, not to {wanted.what}")
    for path in draw(wanted.what, wanted.profile, out, **given):
        print("written:", path)


def _confirm(wanted) -> int:
    """Repeat the first twenty steps of published rows, and note which numbers still hold."""
    from posebook.experiments.confirm import confirm_all

    return confirm_all(_full_names(wanted.names), wanted.profile, wanted.jobs, wanted.trace)


def _bench(wanted) -> None:
    """Time data, steps, metrics, video forms, rendering and loading, in one thread."""
    import json
    from tempfile import TemporaryDirectory

    import torch

    from posebook.bench.cases import SIZES, cases
    from posebook.bench.measure import run, table
    from posebook.results.provenance import commit, device_name, versions

    if wanted.rounds < 1:
        raise ValueError(f"rounds must be at least 1, not {wanted.rounds}")
    if wanted.json and wanted.json.is_dir():
        raise ValueError(f"--json {wanted.json} is a folder; name a file")
    if wanted.json:
        refuse_unwritable(wanted.json.parent, "choose another with --json")
    torch.set_num_threads(1)
    with TemporaryDirectory(prefix="posebook-") as folder:
        found = run(cases(SIZES[wanted.size], Path(folder)), wanted.rounds)
    print(table(found))
    if wanted.json:
        found |= {"device": device_name("cpu"), "commit": commit(), "versions": versions()}
        with whole(wanted.json) as file:
            file.write((json.dumps(found, indent=1) + "\n").encode())


def _check(wanted) -> int:
    """Say what is in a folder of an official data set, and what to do about what is wrong.

    Exit status: 0 all as it should be, 1 something is missing or wrong, 2 nothing was checked.
    """
    from posebook.data.official.check import check_and_say

    return check_and_say(wanted.dataset, wanted.folder, wanted.sheet)


def _motion(wanted) -> None:
    """Motion files as clips of 17 joints, in metres at 50 Hz, for the generator of views."""
    from posebook.data.captured.clips import Wishes, read_clip, write_clips
    from posebook.data.captured.joints import read_map

    if wanted.out.suffix != ".npz" or wanted.out.is_dir():
        raise ValueError(f"--out {wanted.out} is no name of an .npz file; end it in .npz")
    refuse_unwritable(wanted.out.parent, "choose another with --out")
    chosen = read_map(wanted.map) if wanted.map else None
    wishes = Wishes(chosen, wanted.unit, wanted.up, wanted.fps)
    clips = []
    for file in wanted.files:
        clip, said = read_clip(file, wishes)
        clips.append(clip)
        print(said)
    print("written:", write_clips(wanted.out, clips))


def _rig(wanted) -> None:
    """Examine a rig, train a lifter on its own detections without a label, write what it sees."""
    from posebook.book.player_page import write_player
    from posebook.footage.rig import EXAMPLE_RATE, Wishes, run_rig, write_example

    if wanted.example:
        write_example(wanted.folder)
        wanted.fps = wanted.fps or EXAMPLE_RATE
    given = {key: value for key, value in vars(wanted).items() if key in Wishes.__annotations__}
    wishes = Wishes(**{**given, "trust": tuple(wanted.trust)})
    take, bodies, _ = run_rig(wanted.folder, wishes)
    out = wishes.target(wanted.folder)
    shown = {name: take.cameras[0].to_camera(world) for name, world in bodies.items()}
    caption = f"At 0 degrees as camera {take.cameras[0].name} sees them, each kept in its place."
    write_player(out / "player.html", shown, wanted.folder.name, take.fps, caption)


def _lift(wanted) -> None:
    """Follow people in a video, lift them to space, write them, a film and a page that plays."""
    from posebook.book.player_page import write_player
    from posebook.footage.lift import Wishes, lift_video

    given = {key: value for key, value in vars(wanted).items() if key in Wishes.__annotations__}
    people, footage, out = lift_video(wanted.video, Wishes(**given))
    caption = "Each body is kept in its place, as the camera sees it at 0 degrees; a dot stands in "
    caption += "frames that do not show it."
    bodies = {f"person {person.number}": person.bodies for person in people}
    write_player(out / "player.html", bodies, footage.path.name, footage.fps, caption)
    forms = sorted({file.suffix for file in out.glob("person*") if "_2d" not in file.stem})
    print(f"written to {out}: person* ({', '.join(forms)}), film.mp4, player.html, report.txt")


def _export(wanted) -> None:
    """Write a trained network as ONNX, and compare what it answers there with what it does here."""
    from posebook.trained.onnx_files import export

    for line in export(wanted.name, wanted.file):
        print(line)


if __name__ == "__main__":
    sys.exit(main())
