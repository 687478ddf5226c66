"""MPII Human Pose: pictures of people with 16 joints, which pre-train the base network::

    images/015601864.jpg ...
    annot/train.json, valid.json           the converted form (or annotations/mpii_train.json,
                                           mpii_val.json), with the split of Tompson et al.
    annot/mpii_annotations.json            pytorch-pose's form, both parts of that split in one
    mpii_human_pose_v1_u12_1.mat           the original; detections.mat beside it, from the same
                                           authors, says who is held out for validation

All forms count pixels from 1. A person's box is a square round the annotated middle, 200 px of the
annotated scale wide and shifted down by 15, as the code that the thesis builds on has it.
"""

from posebook.data.official.mpii.contents import check
from posebook.data.official.mpii.converted import read_converted, read_pytorch_pose
from posebook.data.official.mpii.load import ORIGINAL, PEOPLE, PYTORCH_POSE, load_stills
from posebook.data.official.mpii.original import read_original
from posebook.data.official.mpii.people import person_box
from posebook.data.official.mpii.records import SOURCE
