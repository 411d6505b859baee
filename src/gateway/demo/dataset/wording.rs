//! The words datasets are made of.

/// Code names of teams, and problems they take.
pub const TEAMS: &[(&str, &[&str])] = &[
    (
        "falcon",
        &[
            "my card was charged {n} euros twice for the same invoice.",
            "the invoice of {day} shows a wrong amount of {n} euros.",
            "I got an invoice for a subscription that I had ended on {day}.",
            "please refund the {n} euros of the invoice of {day} to my card.",
            "the refund for my invoice of {day} has not reached my bank.",
            "why did the price of my subscription rise by {n} euros on this invoice?",
            "I cannot pay the invoice, my card fails although the bank says it is fine.",
            "my invoice still names the old company, please correct the invoice.",
        ],
    ),
    (
        "heron",
        &[
            "my parcel should have arrived on {day} and has not been delivered.",
            "the courier left the parcel with a neighbour I do not know.",
            "the tracking page of my parcel has not changed since {day}.",
            "the parcel arrived on {day} but it was crushed and {n} items are missing.",
            "please deliver the parcel to my office instead of my home.",
            "the courier says the delivery address of my parcel does not exist.",
            "my parcel was promised for {day}, the tracking page says it is still in the depot.",
            "I got a parcel with {n} items that somebody else ordered.",
        ],
    ),
    (
        "otter",
        &[
            "I cannot sign in to my profile because my password is no longer accepted.",
            "the link to reset the password of my profile expired before the mail came.",
            "my profile is locked after {n} wrong passwords.",
            "I changed my mail address and now I cannot sign in to my profile.",
            "the code for signing in to my profile never reaches my {device}.",
            "please delete my profile and all that is stored in it.",
            "somebody signed in to my profile on {day} and it was not me.",
            "my user name is taken, how do I reset the password of the old profile?",
        ],
    ),
    (
        "badger",
        &[
            "the app crashes on my {device} whenever I open the settings.",
            "since the update of {day} the app freezes on the start screen.",
            "the screen of the app stays white after the update on my {device}.",
            "the app shows error {n} when I press the save button.",
            "the search button of the app does nothing on my {device} since the update.",
            "the app drains the battery of my {device} in {n} minutes.",
            "pictures do not load in the app, the screen only shows error {n}.",
            "the app crashes when I rotate the screen of my {device}.",
        ],
    ),
];

/// How a ticket begins.
pub const GREETINGS: &[&str] = &[
    "Hello,",
    "Hi there,",
    "Good morning,",
    "Dear team,",
    "To whom it may concern:",
    "Hey,",
];

/// How a ticket ends; says nothing about its team.
pub const CLOSINGS: &[&str] = &[
    "Please help me soon.",
    "What can I do?",
    "Thank you.",
    "I have waited long enough.",
    "Best wishes, Robin.",
    "This is the second time I write.",
    "",
    "I hope you can sort this out.",
];

/// Days.
pub const DAYS: &[&str] = &[
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

/// Devices.
pub const DEVICES: &[&str] = &["phone", "tablet", "laptop"];

/// First names.
pub const NAMES: &[&str] = &[
    "Ada", "Bruno", "Clara", "Dilan", "Edith", "Farid", "Greta", "Hugo", "Ines", "Jonas",
];

/// Family names.
pub const SURNAMES: &[&str] = &[
    "Holm", "Varga", "Lund", "Okoro", "Silva", "Brandt", "Keller", "Moreau",
];

/// Things to count.
pub const THINGS: &[&str] = &[
    "apples", "stamps", "marbles", "books", "coins", "pencils", "shells", "tickets",
];

/// What reviews are about.
pub const PRODUCTS: &[&str] = &[
    "kettle",
    "hotel",
    "film",
    "backpack",
    "restaurant",
    "headset",
    "novel",
    "bicycle",
    "lamp",
];

/// What pleased reviews say.
pub const PRAISE: &[&str] = &[
    "is excellent and worth every cent",
    "was a delight from start to end",
    "is not bad, it is wonderful",
    "works perfectly and looks beautiful",
    "is the best I have had in years",
    "left me happy and impressed",
    "never gets boring and I love it",
    "is lovely and the service was friendly",
];

/// What displeased reviews say.
pub const BLAME: &[&str] = &[
    "is terrible and a waste of money",
    "was a disappointing mess",
    "is not good, it broke at once",
    "felt cheap and looks ugly",
    "is the worst I have had in years",
    "left me angry and upset",
    "was boring and far too slow",
    "is useless and the service was rude",
];

/// What reviews add; neither pleased nor not.
pub const ASIDES: &[&str] = &[
    "I bought it in March.",
    "My sister chose it.",
    "We were four people.",
    "It came in a blue box.",
    "",
];

/// Beginnings of place names.
pub const STEMS: &[&str] = &[
    "Har", "Vel", "Nor", "Kes", "Bram", "Ost", "Lind", "Tor", "Mar", "Ell",
];

/// Endings of place names.
pub const ENDINGS: &[&str] = &[
    "wick", "dorf", "mora", "stad", "field", "haven", "bru", "gate",
];

/// Buildings.
pub const BUILDINGS: &[&str] = &[
    "bridge",
    "harbour wall",
    "tunnel",
    "aqueduct",
    "market hall",
    "pier",
];

/// What towns are known for.
pub const GOODS: &[&str] = &[
    "glass",
    "smoked cheese",
    "paper lanterns",
    "blue pottery",
    "wool carpets",
    "pear wine",
];
