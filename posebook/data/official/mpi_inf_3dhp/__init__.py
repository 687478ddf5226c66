"""MPI-INF-3DHP from the official folders: S1 to S8 for training, TS1 to TS6 for the test.

Training: `S<n>/Seq<m>/annot.mat` (MATLAB 5: pixels and camera-frame millimetres of 14 cameras, 28
joints) and `camera.calibration` beside it. Test: `TS<n>/annot_data.mat` (MATLAB 7.3, one camera,
17 joints). Both may also lie in `train/` and `test/`. Videos and pictures are not needed.

The world of the files has y up. Here z is up, as everywhere in this book.
"""

from posebook.data.official.mpi_inf_3dhp.archive import (
    ACTIVITIES,
    CHEST,
    OFFICIAL_FRAMES,
    OFFICIAL_TEST_FRAMES,
    OFFICIAL_VALID,
    SCALES,
)
from posebook.data.official.mpi_inf_3dhp.calibration import (
    CAMERAS,
    UPRIGHT,
    read_calibration,
    upright,
)
from posebook.data.official.mpi_inf_3dhp.contents import check
from posebook.data.official.mpi_inf_3dhp.load import load_views
from posebook.data.official.mpi_inf_3dhp.recordings import (
    ASSET,
    OF_17,
    Recording,
    camera_of,
    read_test,
)
from posebook.data.official.mpi_inf_3dhp.training import OF_28, read_training
