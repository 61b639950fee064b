"""Arbitrary waveforms of a 33500B: loaded into volatile memory, chosen by name, played in bursts.

After its operating and service guide, "DATA Subsystem" and "FUNCtion:ARBitrary".
"""

from __future__ import annotations

from hwloop_sim.virtual.instruments.families.generator_handlers import bounded, word
from hwloop_sim.virtual.instruments.families.generator_output import Output
from hwloop_sim.virtual.languages.scpi import (
    MISSING,
    OUT_OF_RANGE,
    Arguments,
    ScpiError,
    VirtualScpiInstrument,
)

LEAST_POINTS, MOST_POINTS = 8, 1_000_000
MOST_DAC = 32767
BUILT_IN = "INT:\\BUILTIN\\EXP_RISE.ARB"
MOST_HZ = 250e6  # of samples
UNKNOWN = (786, "Specified arb waveform does not exist")


class Memory:
    """The volatile memory of one channel, and the waveform that is chosen in it."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self.clear()

    def clear(self) -> None:
        """Forget every waveform that was loaded."""
        self.waveforms: dict[str, tuple[float, ...]] = {}
        self.chosen = BUILT_IN
        self._output.samples = ()

    def load(self, arguments: Arguments, full: float) -> None:
        """Keep samples of at most ``full`` under a name."""
        name = arguments.text()
        samples = Arguments(arguments.values[1:]).numbers()
        if not LEAST_POINTS <= len(samples) <= MOST_POINTS:
            raise ScpiError(*OUT_OF_RANGE)
        if any(abs(sample) > full for sample in samples):
            raise ScpiError(*OUT_OF_RANGE)
        self.waveforms[name.upper()] = tuple(sample / full for sample in samples)

    def choose(self, arguments: Arguments) -> None:
        """Play the waveform of a name from now on."""
        name = arguments.text().upper()
        if name != BUILT_IN and name not in self.waveforms:
            raise ScpiError(*UNKNOWN)
        self.chosen = name
        self._output.samples = self.waveforms.get(name, ())
        self._output.abort()

    def points(self, arguments: Arguments) -> str:
        """Return how many samples a waveform has."""
        name = arguments.text().upper() if arguments.values else self.chosen
        if name not in self.waveforms:
            raise ScpiError(*(UNKNOWN if arguments.values else MISSING))
        return str(len(self.waveforms[name]))


def add_arbitrary(box: VirtualScpiInstrument, source: str, output: Output) -> None:
    """Register the commands of a channel's arbitrary waveforms."""
    memory = Memory(output)
    data, function = f"{source}:DATA", f"{source}:FUNCtion:ARBitrary"
    box.on(f"{data}:VOLatile:CLEar", set=lambda _: memory.clear())
    box.on(
        f"{data}:VOLatile:CATalog",
        get=lambda _: ",".join(f'"{name}"' for name in (BUILT_IN, *memory.waveforms)),
    )
    box.on(
        f"{data}:VOLatile:FREE",
        get=lambda _: str(MOST_POINTS - sum(map(len, memory.waveforms.values()))),
    )
    box.on(f"{data}:ARBitrary", set=lambda a: memory.load(a, 1.0))
    box.on(f"{data}:ARBitrary:DAC", set=lambda a: memory.load(a, MOST_DAC))
    box.on(f"{data}:ATTRibute:POINts", get=memory.points)
    box.on(function, set=memory.choose, get=lambda _: f'"{memory.chosen}"')
    box.on(f"{function}:SRATe", **bounded(output, "sample_hz", 1e-6, MOST_HZ))
    box.on(f"{function}:ADVance", **word(output, "advance", "TRIGger", "SRATe"))
    box.on(f"{function}:FILTer", **word(output, "filter", "NORMal", "STEP", "OFF"))
