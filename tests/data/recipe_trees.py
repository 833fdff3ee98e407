"""Small trees in the layouts of the public data sets of docs/recipes.md, by the section's name."""

import csv
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from tests.data.decoding.file_samples import dicom, noise, saved

FINDINGS = (
    "No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema",
    "Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other", "Fracture",
    "Support Devices",
)  # fmt: skip
ALONE = (
    "Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Effusion", "Emphysema", "Fibrosis", "Hernia",
    "Infiltration", "Mass", "Nodule", "Pleural_Thickening", "Pneumonia", "Pneumothorax",
)  # fmt: skip
KINDS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}


def draw(path: Path, *, channels: int = 1, patient: str = "") -> None:
    """Write noise of 24×20 pixels, another for each path, in the format of the path's suffix."""
    pixels = noise(20, 24, channels, seed=zlib.crc32(str(path).encode()))
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".dcm":
        path.write_bytes(dicom(pixels, PatientID=patient or path.stem))
    else:
        path.write_bytes(saved(pixels, KINDS[path.suffix]))


def draw_mask(path: Path) -> None:
    """Write an image of two values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        saved((noise(20, 24, seed=zlib.crc32(str(path).encode())) > 99).astype(np.uint8) * 255, "PNG")
    )


def write_table(path: Path, head: str, rows: Iterable[Sequence[object]]) -> None:
    """Write a table below its first line, which stands as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write(f"{head}\n" if head else "")
        csv.writer(file, lineterminator="\n").writerows(rows)


def ham10000(home: Path) -> None:
    """24 photographs of 12 lesions, two of each."""
    rows = []
    for number in range(24):
        name, dx = f"ISIC_{24306 + number:07d}", ("nv", "mel", "bkl")[number // 2 % 3]
        draw(home / f"HAM10000/HAM10000_images_part_{1 + number // 12}/{name}.jpg", channels=3)
        rows.append([f"HAM_{number // 2:07d}", name, dx, "histo", "80.0" if number else "", "male", "scalp"])
    head = "lesion_id,image_id,dx,dx_type,age,sex,localization"
    write_table(home / "HAM10000/HAM10000_metadata.csv", head, rows)


def isic_2019(home: Path) -> None:
    """48 photographs of lesions in eight classes, two of each but of the last; some files end in _downsampled."""
    truth, metadata = [], []
    for number in range(48):
        name = f"ISIC_{number:07d}" + "_downsampled" * (number % 5 == 4)
        draw(home / f"ISIC2019/ISIC_2019_Training_Input/{name}.jpg", channels=3)
        truth.append([name, *(float(number // 2 % 8 == column) for column in range(9))])
        lesion = f"BCN_{number // 2:07d}" if number < 46 else ""
        metadata.append([name, "55.0", "anterior torso", lesion, "female"])
    head = "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK"
    write_table(home / "ISIC2019/ISIC_2019_Training_GroundTruth.csv", head, truth)
    head = "image,age_approx,anatom_site_general,lesion_id,sex"
    write_table(home / "ISIC2019/ISIC_2019_Training_Metadata.csv", head, metadata)


def chestxray14(home: Path) -> None:
    """48 films of 16 patients, three of each; the last three patients are the test split's."""
    rows, folder = [], home / "ChestX-ray14"
    findings = (*ALONE, "No Finding", "Effusion|Pneumonia")
    for number in range(48):
        patient, name = number // 3 + 1, f"{number // 3 + 1:08d}_{number % 3:03d}.png"
        draw(folder / f"images_{1 + number // 24:03d}/images/{name}")
        view = ("PA", "AP")[number % 2]
        rows.append([name, findings[number % 16], number % 3, patient, 57, "M", view, 2682, 2749, 0.14, 0.14, ""])
    head = (
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
        "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
    )
    write_table(folder / "Data_Entry_2017.csv", head, rows)
    (folder / "test_list.txt").write_text("\n".join(str(row[0]) for row in rows[-9:]))
    (folder / "train_val_list.txt").write_text("\n".join(str(row[0]) for row in rows[:-9]))


def chexpert(home: Path) -> None:
    """Two views of each of 12 train patients and 4 valid patients; an effusion is 1, 0, blank or -1."""
    for split, first, count in (("train", 1, 12), ("valid", 64541, 4)):
        rows = []
        for number in range(2 * count):
            view = ("frontal", "lateral")[number % 2]
            path = f"CheXpert-v1.0-small/{split}/patient{first + number // 2:05d}/study1"
            path = f"{path}/view{1 + number % 2}_{view}.jpg"
            draw(home / path)
            answers = dict.fromkeys(FINDINGS, "") | {"Support Devices": "1.0" * (number % 3 > 0)}
            answers["Pleural Effusion"] = ("1.0", "0.0", "", "-1.0")[number // 2 % (4 if split == "train" else 2)]
            ap = "AP" if view == "frontal" else ""
            rows.append([path, "Female", 68, view.title(), ap, *answers.values()])
        head = ",".join(["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *FINDINGS])
        write_table(home / f"CheXpert-v1.0-small/{split}.csv", head, rows)


def rsna(home: Path) -> None:
    """24 films, each of one patient; those with opacities have a row for each box."""
    boxes, classes = [], []
    for number in range(24):
        name = f"0004cfab-14fd-4e49-80ba-63a80b6b{number:04x}"
        draw(home / f"RSNA/stage_2_train_images/{name}.dcm")
        kind = ("Normal", "Lung Opacity", "No Lung Opacity / Not Normal")[number % 3]
        for box in range(1 + (number % 3 == 1)):
            opaque = kind == "Lung Opacity"
            box_cells = [264.0 + 300 * box, 152.0, 213.0, 379.0] if opaque else [""] * 4
            boxes.append([name, *box_cells, int(opaque)])
            classes.append([name, kind])
    for number in range(3):
        draw(home / f"RSNA/stage_2_test_images/0000a175-0e68-4ca4-b1af-167204a7{number:04x}.dcm")
    write_table(home / "RSNA/stage_2_train_labels.csv", "patientId,x,y,width,height,Target", boxes)
    write_table(home / "RSNA/stage_2_detailed_class_info.csv", "patientId,class", classes)


def cbis_ddsm(home: Path) -> None:
    """Two views of each of 9 patients, with crops and masks; the first has a second mass, another malignant one."""
    head = (
        "patient_id,breast_density,left or right breast,image view,abnormality id,abnormality type,mass shape,"
        "mass margins,assessment,pathology,subtlety,image file path,cropped image file path,ROI mask file path"
    )
    root, series = home / "CBIS-DDSM", "1.3.6.1.4.1.9590.100.1.2"
    for part, patients in (("train", range(1, 7)), ("test", range(101, 104))):
        rows = []
        for patient in patients:
            for view in ("CC", "MLO"):
                study = f"Mass-{ {'train': 'Training', 'test': 'Test'}[part] }_P_{patient:05d}_LEFT_{view}"
                draw(
                    root
                    / f"{study}/07-20-2016-DDSM-NA-{patient}/1.000000-full mammogram images-2{patient}/1-1.dcm"
                )
                for mass in range(1, 3 if patient == 1 else 2):
                    crop = f"{study}_{mass}/09-06-2017-DDSM-NA-{patient}/1.000000-ROI mask images-5{patient}"
                    for number in (1, 2):
                        draw(root / f"{crop}/1-{number}.dcm")
                    pathology = "MALIGNANT" if mass == 2 or patient % 3 == 0 else "BENIGN"
                    pathology = "BENIGN_WITHOUT_CALLBACK" if patient % 3 == 2 else pathology
                    full = f"{study}/{series}.{patient}1/{series}.{patient}2/000000.dcm"
                    crops = [
                        f"{study}_{mass}/{series}.{patient}3/{series}.{patient}4/00000{n}.dcm" for n in (0, 1)
                    ]
                    cells = [mass, "mass", "OVAL", "CIRCUMSCRIBED", 4, pathology, 4, full, *crops]
                    rows.append([f"P_{patient:05d}", 3, "LEFT", view, *cells])
        write_table(root / f"mass_case_description_{part}_set.csv", head, rows)


def mura(home: Path) -> None:
    """Two images of a study of each of 16 patients of two body parts; the tables have no line of names."""
    for split, first in (("train", 1), ("valid", 11185)):
        paths, studies = [], []
        for patient in range(8):
            part, sign = ("XR_ELBOW", "XR_WRIST")[patient // 4], ("negative", "positive")[patient % 2]
            study = f"MURA-v1.1/{split}/{part}/patient{first + patient:05d}/study1_{sign}"
            studies.append([f"{study}/", patient % 2])
            for number in (1, 2):
                draw(home / study / f"image{number}.png")
                paths.append([f"{study}/image{number}.png"])
        write_table(home / f"MURA-v1.1/{split}_image_paths.csv", "", paths)
        write_table(home / f"MURA-v1.1/{split}_labeled_studies.csv", "", studies)


def breakhis(home: Path) -> None:
    """Two images at each magnification of 8 slides of 7 patients, one of whom has slides of two tumours."""
    slides = {
        "benign/SOB/adenosis": ["SOB_B_A_14-22549AB", "SOB_B_A_14-29960CD"],
        "benign/SOB/fibroadenoma": ["SOB_B_F_14-9133", "SOB_B_F_14-21998AB"],
        "malignant/SOB/ductal_carcinoma": ["SOB_M_DC_14-13412", "SOB_M_DC_14-10926", "SOB_M_DC_14-11031"],
        "malignant/SOB/lobular_carcinoma": ["SOB_M_LC_14-13412"],
    }
    root = home / "BreaKHis_v1/histology_slides/breast"
    for tumour, names in slides.items():
        for slide in names:
            for zoom in (40, 100, 200, 400):
                for number in (1, 2):
                    name = f"{slide.replace('_14-', '-14-')}-{zoom}-{number:03d}.png"
                    draw(root / tumour / slide / f"{zoom}X" / name, channels=3)
    (root / "README.txt").write_text("BreaKHis_v1")


def aptos(home: Path) -> None:
    """20 photographs of five grades; others without a grade."""
    rows = []
    for number in range(20):
        name = f"{0x000C1434D8D7 + number:012x}"
        draw(home / f"APTOS/train_images/{name}.png", channels=3)
        rows.append([name, number % 5])
    draw(home / "APTOS/test_images/0005cfc8afb6.png", channels=3)
    write_table(home / "APTOS/train.csv", "id_code,diagnosis", rows)
    write_table(home / "APTOS/test.csv", "id_code", [["0005cfc8afb6"]])


def eyepacs(home: Path) -> None:
    """Both eyes of 10 patients."""
    rows = []
    for number in range(20):
        name = f"{10 + number // 2}_{('left', 'right')[number % 2]}"
        draw(home / f"EyePACS/train/{name}.jpeg", channels=3)
        rows.append([name, number // 2 % 5])
    write_table(home / "EyePACS/trainLabels.csv", "image,level", rows)


def odir(home: Path) -> None:
    """Both eyes of 10 patients, each photograph there in two sizes."""
    head = (
        "ID,Patient Age,Patient Sex,Left-Fundus,Right-Fundus,Left-Diagnostic Keywords,Right-Diagnostic Keywords,"
        "N,D,G,C,A,H,M,O,filepath,labels,target,filename"
    )
    rows = []
    for side in ("right", "left"):
        for patient in range(10):
            name, label = f"{patient}_{side}.jpg", "NDC"[(patient + (side == "left" and patient == 0)) % 3]
            for folder in ("preprocessed_images", "ODIR-5K/ODIR-5K/Training Images"):
                draw(home / "ODIR" / folder / name, channels=3)
            both = [int(label == column) for column in "NDGCAHMO"]
            eyes = [f"{patient}_left.jpg", f"{patient}_right.jpg", "cataract", "normal fundus"]
            path = f"../input/ocular-disease-recognition-odir5k/ODIR-5K/Training Images/{name}"
            rows.append([patient, 69, "Female", *eyes, *both, path, f"['{label}']", str(both), name])
    (home / "ODIR/ODIR-5K/ODIR-5K/data.xlsx").write_bytes(b"PK\3\4")
    write_table(home / "ODIR/full_df.csv", head, rows)


def busi(home: Path) -> None:
    """8 images of each class with their masks, two of which have a second one."""
    for name in ("benign", "malignant", "normal"):
        for number in range(1, 9):
            image = home / f"Dataset_BUSI_with_GT/{name}/{name} ({number}).png"
            draw(image)
            draw_mask(image.with_stem(f"{image.stem}_mask"))
            if number < 3 and name == "benign":
                draw_mask(image.with_stem(f"{image.stem}_mask_1"))


def blood_cells(home: Path) -> None:
    """Kaggle's folders, in which four classes have 9 images each, and its table of the 12 originals."""
    for split, count in (("TRAIN", 5), ("TEST", 3), ("TEST_SIMPLE", 1)):
        for name in ("EOSINOPHIL", "LYMPHOCYTE", "MONOCYTE", "NEUTROPHIL"):
            for number in range(count):
                path = f"blood-cells/dataset2-master/dataset2-master/images/{split}/{name}/_{number}_{1000 + number}.jpeg"
                draw(home / path, channels=3)
    rows, folder = [], home / "blood-cells/dataset-master/dataset-master"
    for number in range(12):
        label = ("NEUTROPHIL", "EOSINOPHIL", "NEUTROPHIL, EOSINOPHIL", "")[number % 4]
        rows.append(["", number, label])
        if number != 7:
            draw(folder / f"JPEGImages/BloodImage_{number:05d}.jpg", channels=3)
    write_table(folder / "labels.csv", ",Image,Category", rows)


def covid_radiography(home: Path) -> None:
    """8 films of each class, with their masks and tables."""
    for name in ("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia"):
        for number in range(1, 9):
            film = f"{name}-{number}.png"
            draw(home / "COVID-19_Radiography_Dataset" / name / "images" / film)
            draw_mask(home / "COVID-19_Radiography_Dataset" / name / "masks" / film)
        (home / f"COVID-19_Radiography_Dataset/{name}.metadata.xlsx").write_bytes(b"PK\3\4")
    (home / "COVID-19_Radiography_Dataset/README.md.txt").write_text("COVID-19")


def patch_camelyon(home: Path) -> None:
    """12 patches of each split, where h5py can write them; each slide has three."""
    for split in ("train", "valid", "test"):
        rows = [[n, 1, 2, n % 2 == 1, n % 2 == 1, f"camelyon16_{split}_{n // 3:03d}"] for n in range(12)]
        stem = home / f"pcam/camelyonpatch_level_2_split_{split}"
        write_table(
            stem.with_name(f"{stem.name}_meta.csv"), ",coord_y,coord_x,tumor_patch,center_tumor_patch,wsi", rows
        )
        try:
            import h5py
        except ModuleNotFoundError:
            continue
        images = np.stack([noise(96, 96, 3, seed=100 * len(split) + n) for n in range(12)])
        labels = np.array([n % 2 for n in range(12)], dtype=np.uint8).reshape(-1, 1, 1, 1)
        for name, array in (("x", images), ("y", labels)):
            with h5py.File(stem.with_name(f"{stem.name}_{name}.h5"), "w") as file:
                file[name] = array


def tcia(home: Path) -> None:
    """Two slices of a series of each of 12 patients, and a table of patients."""
    rows = []
    for number in range(12):
        patient = f"LUNG1-{number + 1:03d}"
        series = f"NSCLC-Radiomics/{patient}/09-18-2008-StudyID-NA-6910{number}/0.000000-NA-8204{number}"
        for image in (1, 2):
            draw(home / f"manifest-1603198545583/{series}/1-{image:03d}.dcm", patient=patient)
        rows.append([patient, ("large cell", "adenocarcinoma")[number % 2]])
    write_table(home / "manifest-1603198545583/metadata.csv", "Series UID,Collection", [])
    (home / "manifest-1603198545583/NSCLC-Radiomics/LICENSE").write_text("CC BY-NC 3.0")
    write_table(home / "clinical.csv", "PatientID,Histology", rows)


TREES: dict[str, Callable[[Path], None]] = {
    "HAM10000": ham10000,
    "ISIC 2019": isic_2019,
    "ChestX-ray14": chestxray14,
    "CheXpert": chexpert,
    "RSNA pneumonia": rsna,
    "CBIS-DDSM": cbis_ddsm,
    "MURA": mura,
    "BreaKHis": breakhis,
    "APTOS": aptos,
    "EyePACS": eyepacs,
    "ODIR": odir,
    "BUSI": busi,
    "Blood cells": blood_cells,
    "COVID-19 radiography": covid_radiography,
    "PatchCamelyon": patch_camelyon,
    "TCIA": tcia,
}
