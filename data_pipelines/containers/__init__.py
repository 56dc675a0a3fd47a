"""Files that hold many records: tars, JSON lines, Parquet, zips; read as streams, whatever is damaged in them."""
