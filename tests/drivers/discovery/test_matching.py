"""Identities of real instruments, from public text, and the drivers that discovery names for them."""

import re

import pytest

from hwloop.errors import UnexpectedReply
from hwloop_drivers.discovery.matching import match
from hwloop_drivers.instruments.keithley_2600b.driver import KEITHLEY_2600B
from hwloop_drivers.instruments.keysight_33500b import KEYSIGHT_33500B
from tests.drivers.instruments.test_keithley_2600b import Wire

ACCEPTED = [
    # Keithley 2400 family
    ("KEITHLEY INSTRUMENTS INC.,MODEL 2400,1248014,C30   Mar 17 2006 09:29:29/A02  /K/J", "2400"),
    # the line above: output of a resource list in a public README; next: ID string in a driver
    ("KEITHLEY INSTRUMENTS INC.,MODEL 2400,1197778,C30 Mar 17 2006 09:29:29/A02 /K/J", "2400"),
    # notes of a solar-cell bench, "confirmed on the bench"
    ("KEITHLEY INSTRUMENTS INC.,MODEL 2400,4473504,C34 Sep 21 2016", "2400"),
    # address book of a gantry program
    ("KEITHLEY INSTRUMENTS INC.,MODEL 2400,900142?,C24   Feb 14 2002 11:59:45/A02  /J/H", "2400"),
    # 2400 driver's fake in a lab repository, as it was read there
    ("KEITHLEY INSTRUMENTS INC.,MODEL 2400,1058315,C27", "2400"),
    # made up: a serial number with the digits of a 33500B's model; from a public test: of a 2401's
    ("KEITHLEY INSTRUMENTS INC.,MODEL 2400,1433520,C34 Sep 21 2016 15:30:00/A02  /K/J", "2400"),
    ("KEITHLEY INSTRUMENTS INC.,MODEL 2400,2401234,B02", "2400"),
    # instrument card of a lab: "idn_confirmed: true"
    ("KEITHLEY INSTRUMENTS INC.,MODEL 2401,4084766,A01 Aug 25 2011 12:57:43/A02  /T/K", "2400"),
    # comment on a query in a probe-station program
    ("KEITHLEY INSTRUMENTS INC.,MODEL 2410,4406455,C34 Sep 21 2016 15:30:00/A02  /L/M", "2400"),
    # welcome line of a simulator of high-voltage supplies, taken from the instrument
    ("KEITHLEY INSTRUMENTS INC.,MODEL 2410,4412021,C34 Sep 21 2016 15:30:00/A02  /K/M", "2400"),
    # settings file of a sensor test station
    ("KEITHLEY INSTRUMENTS INC.,MODEL 2410,0854671,C33   Mar 31 2015 09:32:39/A02  /J/H", "2400"),
    # protocol tests of a USB-GPIB adapter
    ("KEITHLEY INSTRUMENTS INC.,MODEL 2420,1230523,C30   Mar 17 2006 09:29:29/A02  /H/L", "2400"),
    # remarks of an instrument library in Visual Basic
    ("KEITHLEY INSTRUMENTS INC.,MODEL 2420,0669977,C11 Oct 10 1997 09:51:36/A02 /D/B/E.", "2400"),
    # Keithley 2450: its reference manual, B-5, and three of the maker's example scripts
    ("KEITHLEY INSTRUMENTS INC.,MODEL 2450,01234567,1.0.0i", "2450"),
    ("KEITHLEY INSTRUMENTS,MODEL 2450,04451269,1.7.7b", "2450"),
    ("KEITHLEY INSTRUMENTS,MODEL 2450,04407385,1.7.16a", "2450"),
    ("KEITHLEY INSTRUMENTS,MODEL 2450,04488850,1.7.3c", "2450"),  # endurance tests of a lab
    # Keithley 2600B
    (
        "Keithley Instruments Inc., Model 2601B, 1398687, 3.0.0",
        "2600b",
    ),  # QCoDeS, Keithley_2600.yaml
    ("Keithley Instruments Inc., Model 2604B, 04089762, 4.0.8", "2600b"),  # tests over USB-TMC
    ("Keithley Instruments Inc., Model 2614B, 4071436, 3.2.2", "2600b"),  # PyVISA example of a lab
    ("Keithley Instruments Inc.,MODEL 2635B,4001234,4.0.2", "2600b"),  # a lab's driver tests
    ("Keithley Instruments Inc., Model 2635B, 4490039, 3.3.5", "2600b"),  # GPIB example in Python
    ("Keithley Instruments Inc., Model 2636B, 4308079, 3.2.2", "2600b"),  # a lab's list of boxes
    # Keithley switches
    ("KEITHLEY INSTRUMENTS INC.,MODEL 707B,00000170,01.10h", "707b"),  # web help, tspnet.idn
    ("KEITHLEY INSTRUMENTS,MODEL 3706A,00000170,01.10h", "3706a"),  # web help, tspnet.idn
    ("KEITHLEY INSTRUMENTS INC.,MODEL 3706A,04349716,01.55a", "3706a"),  # a lab's driver
    ("KEITHLEY INSTRUMENTS INC.,MODEL 3706A-SNFP,04447336,01.56a", "3706a"),  # QCoDeS, its sim
    ("KEITHLEY INSTRUMENTS INC.,MODEL 7001, 503327,A04  /A01", "7001"),  # a sensor test station
    (
        "KEITHLEY INSTRUMENTS INC., MODEL 7001, wwwwwww, xxxxx,/yyyyy/zzzzz",
        "7001",
    ),  # manual, 5.10.5
    # Keysight B2900
    ("Keysight Technologies,B2901A,MY51141631,3.4.2011.1234", "b2900"),  # a lab's driver
    ("Keysight Technologies,B2902A,MY51143745,3.4.2011.5100", "b2900"),  # an assertion in a script
    ("AGILENT TECHNOLOGIES,B2901A,12345,SIM", "b2900"),  # simulator of an EPICS project
    # Keysight 33500B, 33600A
    ("Agilent Technologies,33510B,MY52201807,3.05-1.19-2.00-52-00", "33500b"),  # ID string, driver
    ("Agilent Technologies,33511B,MY52301256,3.03-1.19-2.00-52-00", "33500b"),  # a lab's VISA list
    ("Agilent Technologies,33511B,    ,5.03-3.15-2.00-58-00", "33500b"),  # notes: serial left out
    ("Agilent Technologies,33521B,MY52702203,3.03-1.19-2.00-52-00", "33500b"),  # tests of a scan
    ("Agilent Technologies,33522B,MY52802702,2.09-1.19-2.00-52-00", "33500b"),  # a README
    ("Keysight Technologies,33522B,MY59003130,0.179-1.19-8.88-52-00", "33500b"),  # comment in C++
    ("Agilent Technologies,33612A,MY53401500,A.02.02-2.40-03-64-02", "33500b"),  # docstring
    ("Agilent Technologies,33612A,MY59602303,A.02.03-3.15-03-64-02", "33500b"),  # dialect tests
    # other Keysight ones
    ("Agilent Technologies,81160A,MY51400292,1.0.3.0-2.6", "81160a"),  # a lab's pulse scripts
    ("Agilent Technologies,81160A,MY60410533,2.0.0.0-2.6", "81160a"),  # the same lab
    ("Agilent Technologies,34980A,MY12345678,1.00-1.00-2.00-1.00", "34980a"),  # programmer's help
    ("Agilent Technologies,34980A,MY53151561,2.51-2.43-2.07-1.05", "34980a"),  # telnet transcript
    ("Keysight, 34980A, 1000, 0.1", "34980a"),  # QCoDeS, keysight_34980A.yaml
]
NAMES = {
    "2400": "keithley_2400",
    "2450": "keithley_2450",
    "2600b": "keithley_2600b",
    "707b": "keithley_707b",
    "3706a": "keithley_3706a",
    "7001": "keithley_7001",
    "b2900": "keysight_b2900",
    "33500b": "keysight_33500b",
    "81160a": "keysight_81160a",
    "34980a": "keysight_34980a",
}
NEAR = [
    # a script for organic transistors
    ("Keithley Instruments Inc., Model 2636, 1211652, 1.4.2", "keithley_2600b", "2636B"),
    # begin of the identity that a lab's driver expects
    ("Keithley Instruments Inc., Model 2636A", "keithley_2600b", "2636B"),
    # from public text found by its words: issues, output of test programs, a lab's instrument card
    ("Keithley Instruments Inc., Model 2612, 1152698, 1.4.2", "keithley_2600b", "2612B"),
    ("Keithley Instruments Inc., Model 2612A, 1214466, 2.2.6", "keithley_2600b", "2612B"),
    ("Keithley Instruments Inc., Model 2611A, 1314733, 2.2.2", "keithley_2600b", "2611B"),
    ("Keithley Instruments Inc., Model 2602A, 1291342, 2.1.6", "keithley_2600b", "2602B"),
    # ID strings in a driver's comment
    ("Agilent Technologies,33522A,MY50005619,2.03-1.19-2.00-52-00", "keysight_33500b", "33522B"),
    # user's guide of the B2200, 5-7, and QCoDeS's simulation
    ("AGILENT,B2200A,0,A.01.00", "keysight_e5250a", ""),
    ("AGILENT TECHNOLOGIES,B2200A,0,A.01.00", "keysight_e5250a", ""),
    # a MATLAB address book; web help of each
    (
        "KEITHLEY INSTRUMENTS INC.,MODEL 6430,1141613,C27   Jul 12 2004 15:47:33/A02  /D/B",
        "keithley_2400",
        "",
    ),
    ("KEITHLEY INSTRUMENTS,MODEL 2460,00000170,1.0.0a", "keithley_2450", ""),
    ("KEITHLEY INSTRUMENTS,MODEL 2461,04110442,1.7.12b", "keithley_2450", ""),
    ("KEITHLEY INSTRUMENTS,MODEL 2470,04424944,1.6.8d", "keithley_2450", ""),
]
UNKNOWN = [
    "Keysight Technologies,34461A,MY53351240,A.02.14-02.40-02.14-00.49-01-01",  # made up: 3351 in its serial number
    "Keysight Technologies,34461A,MY53220594,A.02.14-02.40-02.14-00.49-01-01",  # ID string, driver
    "Keysight, 34465A, 1000, A.02.16-02.40-02.16-00.51-03-01",  # QCoDeS, its simulation
    "RIGOL TECHNOLOGIES,DG1022 ,DG1D203350123,,00.02.00.06.00.02.07",  # made up: 3350 in it
    "Rigol Technologies,DG1032Z,DG1ZA172902039,00.01.08",  # tests of a lab's generator
    "RIGOL TECHNOLOGIES,DS1104Z,DS1ZA224812889,00.04.04.SP4",  # tests of an oscilloscope's driver
    "FLUKE,2635A,0,M5.3 A4.7 D1.3",  # made up: another maker's number of a SourceMeter
    "FLUKE,2625A",  # a data logger; two fields, serial program
    "KEITHLEY INSTRUMENTS INC., MODEL 2000, xxxxxxx, yyyyy/zzzzz",  # manual of the 2000, 4-43
    "KEITHLEY INSTRUMENTS INC.,MODEL 2700,1150720,B09  /A02",  # endurance tests of a lab
    "KEITHLEY INSTRUMENTS INC.,MODEL SYSTEM 46, 1327388, A03",  # QCoDeS, Keithley_s46.yaml
    "KEITHLEY INSTRUMENTS,MODEL DMM6500,04592448,1.7.12b",  # PyMeasure's tests
    "KEITHLEY INSTRUMENTS,MODEL 2380-120-60,...",  # report of a battery tester
    "Keithley Instruments Inc., Model 2651A, 4405857, 1.2.0",  # comment in a probe program
    "Keithley Instruments Inc.,Model 2657A,4098545,1.1.8",  # Keithley's example scripts
    "Keithley Instruments,Model 2601B-PULSE, 1398687, 1.0.0",  # web help, tspnet.idn
    "HEWLETT-PACKARD,34970A,0,13-2-2",  # a lab's data logger
    "Agilent Technologies,33220A,MY44042651,2.06-2.06-26-2",  # a simulation of a bench
    "Agilent Technologies,33250A,0,0",  # PyMeasure's tests
    "Keysight Technologies,B2962A,MY52350661,2.2.1744.8725",  # list of a lab's racks
    "ACME,TOASTER,1,1",
    "TSP>",
    "",
]


@pytest.mark.parametrize(("identity", "driver"), ACCEPTED)
def test_driver_is_named_by_the_model_field_alone(identity: str, driver: str) -> None:
    found = match(identity)
    assert found.drivers == (NAMES[driver],)
    assert found.near == ()


@pytest.mark.parametrize(("identity", "driver", "model"), NEAR)
def test_near_model_says_what_would_have_to_be_allowed(
    identity: str, driver: str, model: str
) -> None:
    found = match(identity)
    assert found.drivers == ()
    named = identity.split(",")[1].strip().upper().removeprefix("MODEL ")
    with_model = f" and settings.model: {model}" if model else ""
    assert found.near == (f"{driver} with accept_model: {named}{with_model}",)


@pytest.mark.parametrize("identity", UNKNOWN)
def test_no_driver_is_claimed_for_another_instrument(identity: str) -> None:
    found = match(identity)
    assert (found.drivers, found.near) == ((), ())


@pytest.mark.parametrize(
    ("kind", "model"),
    [(KEITHLEY_2600B, "2636B"), (KEITHLEY_2600B, "2602B"), (KEYSIGHT_33500B, "33522B")],
    ids=["2636B", "2602B", "33522B"],
)
def test_driver_accepts_what_discovery_claims_and_nothing_else(kind: object, model: str) -> None:
    settings = kind.settings.parse({"model": model})  # type: ignore[attr-defined]
    identities = [*(one for one, _ in ACCEPTED), *(one for one, *_ in NEAR), *UNKNOWN[:-1]]
    accepted = []
    for identity in identities:
        driver = kind.make(Wire({"*IDN?": identity}), settings)  # type: ignore[attr-defined]
        try:
            driver.verify_identity()
        except UnexpectedReply:
            continue
        accepted.append(identity)
        assert match(identity).drivers == (kind.name,)  # type: ignore[attr-defined]
    # the model field, then the comma before the serial number
    assert accepted == [one for one in identities if re.search(rf"[ ,]{model},", one)]
