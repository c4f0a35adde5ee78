"""SQL text becomes statements, their effects on tables, and what the stream does about each. No server is asked."""

from gpm_cdc.ddl.judgement import Report, Surroundings, Verdict, judge

__all__ = ["Report", "Surroundings", "Verdict", "judge"]
