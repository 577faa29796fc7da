"""Results: records of measurements, intervals, report and plots."""
