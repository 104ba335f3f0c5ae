"""Student workbench: what is in this data set, which of my models is better, and how well do I read scans myself?

streamlit run workbench.py

Wiring only; the pages are in ich_lib.workbench, and all functions in ich_lib.
"""

import streamlit as st

from ich_lib.workbench import cases, data, learn, quiz, runs, source

TITLE = "Hemorrhage workbench"
PAGES = {  # name: (the page, its icon, the lessons that explain it)
    "Data": (data.page, ":material/table_chart:", ("01_numbers", "02_windows", "04_data", "05_leak", "21_metadata")),
    "Runs": (
        runs.page,
        ":material/query_stats:",
        ("07_unet", "08_metrics", "09_dimensions", "24_three", "12_true", "14_ship", "25_share", "15_capstone"),
    ),
    "Cases": (cases.page, ":material/radiology:", ("08_metrics", "11_inside", "13_breaks")),
    "Quiz": (quiz.page, ":material/quiz:", ("02_windows", "08_metrics", "10_which", "12_true")),
}

st.set_page_config(page_title=TITLE, page_icon="🧠", layout="wide")
pages = {
    name: st.Page(page, title=name, icon=sign, url_path=name.lower(), default=name == "Data")
    for name, (page, sign, _) in PAGES.items()
}
st.html("<style>[data-testid=stMainBlockContainer] { padding: 2.6rem clamp(1rem, 3vw, 3.5rem) 4rem; }</style>")
page = st.navigation([*pages.values(), learn.page_link()])
if page.title in PAGES:
    with st.sidebar:
        st.caption("Lessons that explain this page")
        learn.show_links(PAGES[page.title][2])
page.run()
if source.are_heads_ready():  # no other heads are being made
    cases.start_analysis()
