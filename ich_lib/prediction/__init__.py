"""From a scan to a result: the engine, calibration, uncertainty, out of distribution, export."""
