def all_tables(results):
    return str(len(results))
