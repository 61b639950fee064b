"""Words in the names of columns, in small letters, by what they say of the column."""

from __future__ import annotations


def set_of(text: str) -> frozenset[str]:
    """Return the words of a text apart by blanks."""
    return frozenset(text.split())


COUNT = set_of("# no nr num number nummer index idx count counter n id numero applied")
WIDTH = set_of("width widths duration breite dauer pw ton tpulse pulsewidth pulsbreite largeur")
GATE = set_of("gate vg vgs wordline wl")
READING = set_of("read reading meas vread vmeas lese")
PULSE = set_of("pulse pulses puls pulsnr amplitude amp ampl stress program prog set reset write")
SPREADS = set_of(
    "std stdev stddev stderr sd se sem sigma σ err error errors fehler deviation deviations mad var"
    " variance cv rsd rms noise rauschen uncertainty uncertainties unc unsicherheit tolerance"
    " accuracy spread fluctuation fluctuations ci confidence iqr percentile quantile quartile"
)
OTHERWISE = SPREADS | set_of(  # no measured value itself
    "abs absi absv min max log ln log10 range limit compliance target norm normalized normalised"
    " setpoint window slope fit delay wait waiting dwell settle settling interval nplc aperture"
    " ratio dt di dv dg dr"
    " impedance impedances impedanz reactance reaktanz admittance admittanz susceptance"
)
ON, OFF = (
    set_of("on lrs ron gon ion rlrs glrs ilrs imax gmax rmax"),
    set_of("off hrs roff goff ioff rhrs ghrs ihrs imin gmin rmin"),
)
WORDS = {
    "conductance_s": set_of(
        "conductance conductances g leitwert leitfahigkeit cond conduttanza gon goff glrs ghrs"
    ),
    "resistance_ohm": set_of(
        "resistance resistances r res rdc widerstand rlow rhigh ron roff rlrs rhrs resistencia rmem"
    ),
    "current_a": set_of(
        "current currents i im strom amps ampere amperes courant corriente ai anodei id ids"
        " idrain icell imeas iread curr if ion ioff ilrs ihrs"
    ),
    "voltage_v": set_of(
        "voltage voltages v volt volts vf u spannung bias potential tension ewe vm av anodev vcell"
        " vds vd vdrain vin vout vappl voltaje applied"
    ),
    "temperature_k": set_of("temperature temp temperatur"),
    "time_s": set_of(
        "time times t zeit timestamp elapsed seconds second sec secs timer tiempo temps uhrzeit"
    ),
    "frequency_hz": set_of("frequency freq f frequenz"),
    "capacitance_f": set_of("capacitance c cp cs kapazitat"),
    "power_w": set_of("power leistung"),
    "charge_c": set_of("charge q ladung"),
}
COUNTED = {
    "pulse": set_of("pulse pulses puls pulsnr impuls impulsion shot spike"),
    "cycle": set_of("cycle cycles zyklus zyklen loop loops iteration repetition"),
    "train": set_of("train zug sweep run"),
    "cell": set_of("cell device address zelle adresse die"),
    "index": set_of(
        "index idx point points pt pts row step steps sample record item nr no number n # x_value"
    ),
}
STEMS = {  # of compound names, as in "AnodeV", "DrainI", "GateV", "CH1 Voltage"
    "anode", "cathode", "drain", "source", "te", "be", "top", "bottom", "smu", "ch", "channel",
    "measured", "meas", "raw", "value", "mean", "avg", "average", "median", "device", "dut",
    "forced", "applied", "sourced", "input", "output", "lrs", "hrs", "on", "off",
    "run", "append", "curve", "trace",
}  # fmt: skip
REMARKS = (READING | PULSE | STEMS | set_of("lrs hrs on off after before cell node")) - set_of(
    "amp ampl"
)
