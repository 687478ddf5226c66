"""Human3.6M from the files that people hold: VideoPose3D's .npz, or mmpose's repack.

VideoPose3D: `data_3d_h36m.npz` (world, metres, 32 joints) and one or more of
`data_2d_h36m_<detections>.npz` (pixels, 17 joints, four views), such as `gt` and
`cpn_ft_h36m_dbb`. mmpose: `annotation_body3d/fps50/h36m_{train,test}.npz`, flat arrays with a
picture's name a row. Cameras are the published numbers in either case; see
`posebook.data.recorded.rig`.
"""

from posebook.data.official.human36m.contents import check
from posebook.data.official.human36m.fit import EXACT, distances
from posebook.data.official.human36m.load import OFFICIAL_PICTURES, load_views
from posebook.data.official.human36m.mmpose import mmpose_takes
from posebook.data.official.human36m.takes import (
    ACTIONS,
    DAMAGED,
    DROPPED,
    TEST_SUBJECTS,
    TRAIN_SUBJECTS,
    canonical,
)
from posebook.data.official.human36m.videopose3d import (
    CPN,
    KEPT,
    RECORDED,
    SYMMETRY,
    read_detections,
    read_positions,
    videopose3d_takes,
)
