"""Sub-JHMDB: 316 clips of 12 actions in which the whole body is in the picture, three splits::

    Rename_Images/<action>/<clip>/00001.png ...                 320 x 240
    joint_positions/<action>/<clip>/joint_positions.mat         pos_img (2, 15, T), counted from 1
    puppet_mask/<action>/<clip>/puppet_mask.mat                 part_mask (240, 320, T), 0 or 1
    sub_splits/<action>_test_split_<1, 2 or 3>.txt              <clip>.avi <1 train, 2 test>

or, in place of the last three, the annotations that mmpose gives out::

    annotations/Sub<1, 2 or 3>_<train or test>.json             COCO's layout

The file has no word on visibility. All 15 joints are those of a puppet that was fitted by hand; a
hidden one is where the puppet has it, so here all count as visible.
"""

from posebook.data.official.jhmdb.clips import mask_boxes, read_clip, read_joints, recovered_scale
from posebook.data.official.jhmdb.contents import check
from posebook.data.official.jhmdb.facts import ARCHIVES, CLIPS, FPS, FRAMES, HEIGHT, SOURCE, WIDTH
from posebook.data.official.jhmdb.load import load_clips
from posebook.data.official.jhmdb.splits import Entry, read_split
