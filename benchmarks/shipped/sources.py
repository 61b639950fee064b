"""Sources of the shipped calibrations, their conditions, and the limits of the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_SPINTRONIC = {
    "device": "La0.7Sr0.3MnO3/Gaq3/AlOx/Co",
    "source": "A. Shumilin et al., Glassy Synaptic Time Dynamics in Molecular"
    " La0.7Sr0.3MnO3/Gaq3/AlOx/Co Spintronic Crossbar Devices, Advanced Electronic Materials 2024,"
    " 2300887",
    "doi": "10.1002/aelm.202300887",
}
NONE_STATED = "none stated for the data; fitted parameters only"


def spintronic_table(volts: float, width_ms: int, hidden: str) -> dict[str, Any]:
    """Return the source of a measured curve; ``hidden``: sentence on its gaps."""
    moved = "potentiated" if volts > 0 else "depressed"
    return {
        **_SPINTRONIC,
        "title": f"Spintronic cell {moved} by {volts:g} V, {width_ms} ms pulses",
        "conditions": {
            "amplitude_v": volts,
            "width_s": width_ms * 1e-3,
            "note": "published figure of conductance against pulse number, digitised",
        },
        "validity": "One cell, one series of pulses, read off the pixels of the published figure."
        f" {hidden} Says nothing of other amplitudes, widths or polarities, nor of how much one"
        " cell differs from another.",
    }


def bidirectional(width_ms: int) -> dict[str, Any]:
    """Return the source of the spintronic twin with pulses in both directions."""
    return {
        **_SPINTRONIC,
        "title": f"Spintronic cell, {width_ms} ms pulses of 2 V up and -2.8 V down",
        "licence": NONE_STATED,
        "conditions": {
            "note": "both curves of the published figure, digitised; 1 ms up from the bench log",
        },
        "words": "One cell, one curve each way. The curves were measured apart and hardly meet:"
        " potentiation from about 450 nS, depression from 325 nS (50 ms) or less. Both stand on one"
        " axis of conductance, as measured; below the potentiation curve a pulse is taken to raise"
        " by as many siemens as at its beginning, above the depression curve to lower by as many as"
        " at its beginning. Neither was measured.",
        "remarks": (
            "read noise and what differs from cell to cell are not known",
            "with steps held as a fraction of G instead of in siemens, depressed cells come back"
            " far more slowly",
        ),
    }


TAOX = {
    "title": "TaOx-like cell, trains of SET and RESET pulses",
    "device": "resistive memory cell; the source does not name the material",
    "source": "CrossSim 2, example of lookup-table generation, Sandia National Laboratories",
    "doi": "10.1109/IJCNN.2016.7727298",
    "licence": "data BSD-3-Clause; fitted parameters",
    "conditions": {
        "read_v": 0.1,
        "note": "amplitude and width are not stated; 1 V, -1 V and 1 us stand for them",
    },
    "words": "One cell, 20 trains of 185 to 192 SET and 20 of 149 to 153 RESET pulses. Amplitudes"
    " and widths are placeholders: give those of your own as up.amplitude_v and so on.",
}
HFO2 = {
    "title": "HfO2 cell, 1,000 pulses each way, normalised",
    "device": "HfO2 ReRAM",
    "source": "N. Gong et al., Nature Communications 9, 2102 (2018); table of IBM aihwkit",
    "doi": "10.1038/s41467-018-04485-1",
    "licence": "data MIT; fitted parameters",
    "conditions": {"note": "amplitude and width are not stated; 1 V, -1 V and 1 us stand for them"},
    "words": "One train each way, conductance normalised to about -1.3 to 1.4, without a unit. The"
    " file has no low_conductance_s and high_conductance_s: give the conductances that -1.41 and"
    " 1.47 stand for.",
}
_YFLASH = {
    "device": "two-terminal floating-gate (Y-Flash) memristor",
    "source": "W. Wang et al., A memristive deep belief neural network based on silicon synapses,"
    " Nature Electronics 2022",
    "doi": "10.1038/s41928-022-00878-9",
    "licence": "data CC BY-NC-SA 4.0; fitted parameters only",
    "conditions": {
        "note": "program 200 us lowers, erase 100 us raises; amplitudes are not stated, 1 V and"
        " -1 V stand for them",
    },
}
YFLASH = {
    "one_cell": {
        **_YFLASH,
        "title": "Y-Flash, one cell over 200 cycles",
        "words": "One cell. Its trains end when a conductance is reached. Amplitudes are"
        " placeholders.",
    },
    "48_cells": {
        **_YFLASH,
        "title": "Y-Flash, 48 cells, one cycle each",
        "words": "One train each way of each of 48 cells: spread from cell to cell and from cycle"
        " to cycle are not told apart and stand as that of cells. Amplitudes are placeholders.",
    },
}


def nbsto(radius_um: int, names: Sequence[str]) -> dict[str, Any]:
    """Return the source of the sweeps of one Nb:SrTiO3 device."""
    return {
        "title": f"Nb:SrTiO3 interface memristor, {radius_um} um radius, I-V sweeps",
        "device": f"Nb-doped SrTiO3 Schottky interface, {radius_um} um radius",
        "source": "T. F. Tiotto, A. S. Goossens et al., Learning to Approximate Functions Using"
        " Nb-Doped SrTiO3 Memristors, Frontiers in Neuroscience 14, 627276 (2021); sweeps of"
        " github.com/thomastiotto/Memristor-Models",
        "doi": "10.3389/fnins.2020.627276",
        "licence": NONE_STATED,
        "conditions": {"note": f"{', '.join(names)}: 10 mV steps of about 83 ms"},
        "words": "One device, one sweep a file: nothing is known of the spread from cycle to cycle"
        " or from device to device. low_conductance_s and high_conductance_s are those of the"
        " model's bounds at small"
        " positive voltages. Points at the current limit are left out; below 5 nA the sweeps show"
        " the meter's offset. Says nothing of pulses far shorter or longer than a step of the"
        " sweep, nor of retention.",
    }


def programming(method: str) -> dict[str, Any]:
    """Return the source of a curve of spread against conductance."""
    words = "iterative programming" if method == "iterative" else "one-shot programming"
    return {
        "title": f"Spread of HfO2 1T1R cells after {words}, against conductance",
        "device": "HfO2 1T1R",
        "source": "D. Bonnet et al., Nature Communications 14, 7530 (2023); points read by eye from"
        " its figure",
        "doi": "10.1038/s41467-023-43317-9",
        "licence": "article CC BY 4.0; coefficients only",
        "conditions": {"note": "sigma times 1.1, the safety factor of the points' source"},
        "validity": {
            "low_conductance_s": 1e-9,
            "high_conductance_s": 110e-6,
            "summary": "Between 0 and 110 uS, where the curve is positive; of one cell's outcome"
            " nothing but its deviation is known: taken for normal.",
        },
    }


ONE_TRANSISTOR: dict[str, Any] = {
    "title": "1T1R RRAM: SET by the gate, RESET by the source line, 200 ns",
    "device": "1T1R RRAM test chips",
    "source": "B. Q. Le, A. Levy et al., RADAR: A Fast and Energy-Efficient Programming Technique"
    " for Multiple Bits-Per-Cell RRAM Arrays, IEEE Trans. Electron Devices 2021; data of GitHub"
    " akashlevy/RRAM-RADAR-Tuning and akashlevy/NI-RRAM-Python",
    "doi": "10.1109/TED.2021.3097975",
    "licence": "none stated for RRAM-RADAR-Tuning, MIT for NI-RRAM-Python; fitted parameters only",
    "conditions": {
        "note": "bit line 2.0 V, gate 0 to 4.0 V (SET); source line 0 to 4.0 V, gate 3.5 or 4.0 V"
        " (RESET); 200 ns; 50 mV steps; day 1 is 7-30-20, day 2 9-21-20",
    },
    "words": "25 cells for SET, 25 for RESET on each of two days, 100 for the spread of RESET;"
    " which are of one chip is not known. Noise at long times and endurance are of one"
    " cell each, elsewhere.",
    "remarks": (
        "flicker_noise: 10,000 reads of one cell at 93 uS, read through 560 ohm",
        "random_telegraph: jumps of more than 10 % between the reads of the gate sweeps below 60"
        " uS; the reads have no times and are taken 47 ms apart, as those of flicker_noise;"
        " time_sigma and the exponent are chosen",
        "relaxation, the first: spread of levels above 40 uS, read minutes after they were"
        " written; tau_s and a mean of 0 are chosen",
        "relaxation, the second: 30 min at 80 C, of levels above 40 uS; tau_s is chosen; at 300"
        " K it takes years, and temperature_k: 353.15 gives the bake. activation_ev is of the bit"
        " error rates from 338 to 373 K. Cells of another test, which lost a tenth of that in 30"
        " min at 127 C, contradict it",
        "a rise of G by source lines of 0.5 to 1.4 V, of cells that begin below their usual LRS,"
        " is not modelled: from 160 to 180 uS it is 18 % at 1.05 V on day 1, where cells of day 2"
        " have lost half, so that G alone does not decide on it",
        "endurance: one cell, 1 us pulses, to 10^6 cycles, moved to this window; cells of the"
        " programming tests had 8,000",
        "forming: 100 cells, 2.5 to 3.6 V on the bit line in steps of 50 mV, 2.0 V at the gate, of"
        " a width that is not stated; cells begin formed unless forming.begin is pristine",
        "cells that cannot be RESET at all, of which the programming tests have 0.4 to 1 %, are not"
        " among those swept; the effect stuck adds them",
    ),
}
