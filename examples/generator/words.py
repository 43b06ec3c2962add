"""Neutral words from which every text of the generator is put together."""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


NOUNS = _words(
    """
    harbor tide ledger orchard lantern meadow valley river basin canal bridge anchor beacon
    compass chart route parcel cargo freight pallet carrier dock berth pier wharf buoy sail mast
    rudder keel weather station sensor gauge reading forecast season rainfall humidity pressure
    altitude terrain garden seed sprout petal stem root soil compost greenhouse harvest basket
    recipe kitchen oven flour sugar butter loaf crust filling pantry spice saffron pepper barley
    oat wheat grain mill library shelf volume chapter page margin index catalog archive folio
    binding print museum gallery exhibit frame canvas sketch pigment brush palette studio
    sculpture mosaic pattern concert melody chorus verse rhythm tempo octave string drum flute
    violin cello piano score telescope orbit planet comet crater eclipse horizon galaxy nebula
    spectrum filter lens mirror train platform signal timetable carriage junction tunnel depot
    ticket passenger luggage schedule invoice receipt account balance budget quarter estimate
    quote order customer parser token buffer stream record field column table query cache queue
    worker job batch handler router request response header cookie session payload schema
    migration fixture factory module package function method class interface adapter service
    client server endpoint gateway config setting option flag default override profile
    environment variable locale format test case suite assertion coverage snapshot baseline
    benchmark threshold latency throughput error warning message trace log metric counter
    histogram label span event listener callback branch commit merge rebase tag release
    changelog version manifest lockfile dependency pipeline button dialog form layout panel
    sidebar toolbar tooltip menu theme icon badge avatar thumbnail graph node edge vertex path
    cycle tree leaf parent sibling depth height weight cost
    """
)

VERBS = _words(
    """
    add remove update create delete read write parse format render load store fetch send receive
    open close start stop pause resume retry skip check verify validate compare sort filter
    group merge split join wrap unwrap encode decode compress expand convert copy move rename
    replace measure count sum average round truncate pad trim strip match search find locate
    resolve expect connect listen publish subscribe poll wait schedule cancel queue flush drain
    rotate archive restore refresh reload reset clear build compile link package install
    configure register bind draw paint scale align center shift zoom pan crop blend plant water
    prune harvest bake stir pour sail steer anchor moor dock ship deliver track record report
    summarize explain describe review inspect trace profile tune improve simplify extract inline
    """
)

ADJECTIVES = _words(
    """
    small large quiet early late warm cool bright pale narrow wide shallow deep slow quick
    steady simple plain clear empty full open closed local remote nested flat sorted stable
    missing valid partial complete current previous next first last primary secondary optional
    required shared private public static dynamic lazy eager strict loose short long recent
    stale fresh cached northern southern coastal inland seasonal weekly daily hourly yearly
    usual unusual related separate common spare wooden copper silver amber green blue grey
    violet golden
    """
)

CONNECTORS = _words(
    """
    because while after before although so then since unless until whenever wherever however
    therefore instead meanwhile otherwise also and but or yet still now here there again
    """
)

SENTENCES = (
    "The {adj} {noun} should {verb} the {noun2} {conn} the {noun3} is {adj2}.",
    "I will {verb} {adj} {noun}s and then {verb2} the {noun2} for {number} {noun3}s.",
    "Let me {verb} `{name}` to see how the {noun} handles a {adj} {noun2}.",
    "It looks like {name} does not {verb} the {noun} {conn} {noun2} {number} arrives.",
    "Now {verb} the {adj} {noun}, {conn} {verb2} {noun2} and {noun3} in {path}.",
    "{Noun} {number} is {adj}: {verb} it {conn} the {noun2} can {verb2}.",
    "There are {number} {noun}s in the {adj} {noun2}, {conn} only {number2} of them {verb}.",
    "Could you {verb} the {noun} of the {adj} {noun2}, {conn} keep the {noun3} {adj2}?",
    "- {verb} {noun} {number}: {adj} {noun2} ({name})",
    "We {verb} each {noun} once, {verb2} its {noun2}, and {conn} leave {number} {adj} {noun3}s.",
    "In {path} the {noun} and the {noun2} {verb} {adj} {noun3}s at line {number}.",
    "{Noun}, {noun2} and {noun3}: which one must {verb} {conn} the {adj} one is {adj2}?",
)

CODE_LINES = (
    "def {name}({noun}: {Type}, {noun2}: {Type2}) -> {Type3}:",
    "    {noun} = self.{name}({noun2}, {noun3}={number})",
    "    if {noun}.{noun2} is None or len({noun3}) > {number}:",
    '        raise {Type}Error(f"cannot {verb} {noun}: {{{noun2}!r}}")',
    "    for {noun} in {name}({noun2}, reverse=True):",
    "        {noun2}.append({Type}({noun}, {noun3}={number}))",
    "    return {Type}({noun}={name}, {noun2}={noun3}[{number}:])",
    "class {Type}{Type2}({Type3}):",
    '    """{Verb} the {adj} {noun} of a {noun2} {conn} it is {adj2}."""',
    "import {noun}.{noun2}_{noun3} as {name}",
    "const {name} = await {noun}.{verb}({{ {noun2}: {number}, {noun3}: '{adj}' }});",
    "export function {verb}{Type}({noun}: {Type2}): {Type3} {{",
    "  if (!{noun}.{name}) return {noun2}.{verb}({number});",
    '  <{Type} {noun}={{{name}}} {verb}="{adj}-{noun2}" size={{{number}}} />',
    "func ({noun} *{Type}) {Verb}{Type2}({noun2} []{Type3}, {noun3} int) error {{",
    "\tif err := {noun}.{verb}({name}, {number}); err != nil {{",
    '\t\treturn fmt.Errorf("{verb} {noun} %d: %w", {noun2}, err)',
    "\t}}",
    "}}",
    "",
    "    # {verb} the {noun} first, {conn} {noun2} {number} may be {adj}",
    "    assert {name}({noun}({number})) == {number2}, {noun2}.{noun3}",
    "    {name}: dict[str, {Type}] = {{}}",
    "  {name}:",
    "    {noun}: {number}",
    "select {noun}.{name}, count(*) as {noun2}_{noun3} from {adj}_{noun}s where {noun2} > {number}",
)

OUTPUT_LINES = (
    "ok   {path} {number}.{number2} s",
    "{path}:{number}:{number2}: {verb} {adj} {noun} ({name})",
    "drwxr-xr-x {number} user group {number2} {path}",
    "{path}",
    "[{number}/{number2}] {Verb} {noun} {noun2}-{hex}",
    " {path} | {number} +++---",
    "PASS {path}::test_{verb}_{noun}_{adj}_{noun2}",
    "WARN {noun}.{noun2}: {adj} {noun3} after {number} ms, {verb} {number2}",
    "{hex} {Verb} {adj} {noun} in {noun2}",
    "commit {hex}{hex2}",
    '  "{name}": {{ "{noun}": {number}, "{noun2}": "{adj}", "id": "{hex}" }},',
    "sha256:{hex}{hex2}  {noun}-{number}.{number2}.tar.gz",
    "-    {noun} = {name}({number})",
    "+    {noun} = {name}({number2}, {adj}={noun3})",
    "@@ -{number},{number2} +{number},{number2} @@ class {Type}{Type2}:",
    "{number} passed, {number2} {adj} in {noun}",
)

NICKNAMES = tuple(
    f"{adjective}-{verb}ing-{noun}"
    for adjective, verb, noun in zip(ADJECTIVES[:40], VERBS[20:60], NOUNS[30:70], strict=True)
)
