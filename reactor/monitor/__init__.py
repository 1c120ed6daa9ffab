"""What people look at: the running system, what it left in the journal, the host under it. Read-only.

    metrics rows, histograms, risk row ─▶ reader.py ─▶ one picture ─▶ dashboard.py (live)
    the supervisor's last account ─▶ report.py (JSON) ─▶ report_table.py (text)
    journal ─▶ history.py (tables, CSV, Parquet)   story.py ─▶ trace.py (one decision)
    the host ─▶ host_probe.py ─▶ host_report.py (measured, before and after)          commands.py: their options

Owns nothing, writes only what somebody exports. Invariant: whoever watches costs the hot path nothing: segments are mapped
read-only, files are opened read-only. When it dies, a screen is empty and trading goes on.
"""
